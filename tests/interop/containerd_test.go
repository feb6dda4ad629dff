package interop

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/platforms"

	"github.com/regauth/regauth/ffi-c/go/containerd"
)

// containerd's resolver pulls and pushes through our transport.
func TestContainerd(t *testing.T) {
	scenarios(t, func(t *testing.T, w *world) {
		pullAndPush(t, w, containerd.Hosts(through(t, w)))
		records := w.records(t)
		show(t, "containerd's resolver with our transport", records)
		judge(t, w, records)
	})
}

// Its own connections, and tokens by our Authorizer: what Hosts does not decide is containerd's.
func TestContainerdAuthorizer(t *testing.T) {
	scenarios(t, func(t *testing.T, w *world) {
		authorizer := containerd.NewAuthorizer(through(t, w))
		own := ownHosts(t, w)
		pullAndPush(t, w, func(host string) ([]docker.RegistryHost, error) {
			hosts, err := own(host)
			for i := range hosts {
				hosts[i].Authorizer = authorizer
			}
			return hosts, err
		})
		records := w.records(t)
		show(t, "containerd's own transport, our authorizer", records)
		wantIdentity(t, "token request", records, token)
	})
}

// The same with its own transport and hosts.toml: a comparison.
func TestContainerdItself(t *testing.T) {
	scenarios(t, func(t *testing.T, w *world) {
		pullAndPush(t, w, ownHosts(t, w))
		show(t, "containerd's resolver with its own transport", w.records(t))
	})
}

func ownHosts(t *testing.T, w *world) docker.RegistryHosts {
	t.Helper()
	root := t.TempDir()
	directory := filepath.Join(root, w.Registry)
	if err := os.Mkdir(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(directory, "hosts.toml"), fmt.Sprintf(
		"server = \"https://%[1]s\"\nca = %[2]q\nclient = [[%[3]q, %[4]q]]\n", w.Registry, w.CA, w.Client.Cert, w.Client.Key))
	return config.ConfigureHosts(t.Context(), config.HostOptions{
		HostDir:       config.HostDirFromRoot(root),
		DefaultScheme: "https",
		Credentials:   func(string) (string, string, error) { return w.User, w.Password, nil },
	})
}

// pullAndPush pulls the image of the world, and pushes it to a repository that does not have it.
func pullAndPush(t *testing.T, w *world, hosts docker.RegistryHosts) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	store, err := local.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	resolver := docker.NewResolver(docker.ResolverOptions{Hosts: hosts})
	name, descriptor, err := resolver.Resolve(ctx, w.Registry+"/"+w.Repository+":one")
	if err != nil {
		t.Fatal(err)
	}
	if descriptor.Digest.String() != w.Manifest {
		t.Fatalf("resolved to %s", descriptor.Digest)
	}
	fetcher, err := resolver.Fetcher(ctx, name)
	if err != nil {
		t.Fatal(err)
	}
	handler := images.Handlers(remotes.FetchHandler(store, fetcher), images.ChildrenHandler(store))
	if err := images.Dispatch(ctx, handler, nil, descriptor); err != nil {
		t.Fatal(err)
	}
	count := 0
	if err := store.Walk(ctx, func(content.Info) error { count++; return nil }); err != nil || count != 5 {
		t.Fatalf("pulled %d blobs: %v", count, err)
	}
	pusher, err := resolver.Pusher(ctx, w.Registry+"/demo/pushed:one")
	if err != nil {
		t.Fatal(err)
	}
	if err := remotes.PushContent(ctx, pusher, descriptor, store, nil, platforms.All, nil); err != nil {
		t.Fatal(err)
	}
	if _, pushed, err := resolver.Resolve(ctx, w.Registry+"/demo/pushed:one"); err != nil || pushed.Digest != descriptor.Digest {
		t.Fatalf("pushed %v: %v", pushed.Digest, err)
	}
}
