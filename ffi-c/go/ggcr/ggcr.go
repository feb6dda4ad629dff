// Package ggcr lets go-containerregistry (github.com/google/go-containerregistry/pkg/v1/remote, and crane) show one identity
// on every hop between it and a registry, and nowhere else.
//
//	option, err := ggcr.For(through, image.Context().Registry)
//	remote.Image(image, option)
//
// where through is a transport of package transport, which fetches the tokens: leave keychains and authenticators out, and
// configure credentials at the agent.
package ggcr

import (
	"net/http"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	regauth "github.com/regauth/regauth/ffi-c/go"
	"github.com/regauth/regauth/ffi-c/go/transport"
)

// For is the option for all calls on one registry.
func For(through *transport.Transport, registry name.Registry) (remote.Option, error) {
	tripper, err := Transport(through, registry)
	if err != nil {
		return nil, err
	}
	return remote.WithTransport(tripper), nil
}

// Transport is what the option sets: for crane.WithTransport, and for transports that add to it.
func Transport(through *transport.Transport, registry name.Registry) (http.RoundTripper, error) {
	image, err := regauth.ParseReference(registry.RegistryStr() + "/any")
	if err != nil {
		return nil, err
	}
	endpoints, err := through.Agent().Endpoints(image, regauth.Pull)
	if err != nil {
		return nil, err
	}
	origin := image.Origin
	for _, endpoint := range endpoints {
		// The configuration may say plain http.
		if !endpoint.Mirror {
			origin = endpoint.Origin
		}
	}
	return through.Anchored(origin)
}
