// Package containerd lets containerd's resolver (github.com/containerd/containerd/v2/core/remotes/docker) show one identity
// on every hop between it and a registry, and nowhere else.
//
//	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: containerd.Hosts(through)})
//
// where through is a transport of package transport. Where only an Authorizer can be had, NewAuthorizer fetches tokens the
// same way for requests that another client sends.
package containerd

import (
	"net/http"
	"net/url"
	"sort"

	"github.com/containerd/containerd/v2/core/remotes/docker"

	regauth "github.com/regauth/regauth/ffi-c/go"
	"github.com/regauth/regauth/ffi-c/go/transport"
)

// Hosts gives the mirrors of a registry, in order, and then the registry, as the agent's configuration has them. Their
// clients fetch tokens by themselves and need no Authorizer. A change of repository names is lost: containerd has no field
// for it.
func Hosts(through *transport.Transport) docker.RegistryHosts {
	return func(registry string) ([]docker.RegistryHost, error) {
		// Any image of it: the endpoints are the registry's.
		image, err := regauth.ParseReference(registry + "/any")
		if err != nil {
			return nil, err
		}
		var hosts []docker.RegistryHost
		mirror := map[string]bool{}
		for _, want := range []regauth.Capability{regauth.Pull, regauth.Resolve, regauth.Push, regauth.Referrers} {
			endpoints, err := through.Agent().Endpoints(image, want)
			if err != nil {
				return nil, err
			}
			for _, endpoint := range endpoints {
				if _, known := mirror[endpoint.Origin+endpoint.Root]; known {
					continue
				}
				host, err := hostOf(through, endpoint)
				if err != nil {
					return nil, err
				}
				mirror[endpoint.Origin+endpoint.Root] = endpoint.Mirror
				hosts = append(hosts, host)
			}
		}
		sort.SliceStable(hosts, func(i, j int) bool { return mirror[key(hosts[i])] && !mirror[key(hosts[j])] })
		return hosts, nil
	}
}

func key(host docker.RegistryHost) string { return host.Scheme + "://" + host.Host + host.Path }

func hostOf(through *transport.Transport, endpoint regauth.Endpoint) (docker.RegistryHost, error) {
	origin, err := url.Parse(endpoint.Origin)
	if err != nil {
		return docker.RegistryHost{}, err
	}
	tripper, err := through.Anchored(endpoint.Origin)
	if err != nil {
		return docker.RegistryHost{}, err
	}
	host := docker.RegistryHost{
		Client: &http.Client{Transport: tripper}, Scheme: origin.Scheme, Host: origin.Host, Path: endpoint.Root,
	}
	for ours, theirs := range map[regauth.Capability]docker.HostCapabilities{
		regauth.Pull: docker.HostCapabilityPull, regauth.Resolve: docker.HostCapabilityResolve,
		regauth.Push: docker.HostCapabilityPush, regauth.Referrers: docker.HostCapabilityReferrers,
	} {
		if endpoint.Capabilities&ours != 0 {
			host.Capabilities |= theirs
		}
	}
	return host, nil
}
