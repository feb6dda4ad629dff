package interop

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/regauth/regauth/ffi-c/go/ggcr"
)

// go-containerregistry pulls and pushes through our transport.
func TestGgcr(t *testing.T) {
	scenarios(t, func(t *testing.T, w *world) {
		reference := ggcrReference(t, w, w.Repository)
		ours, err := ggcr.Transport(through(t, w), reference.Context().Registry)
		if err != nil {
			t.Fatal(err)
		}
		ggcrPullAndPush(t, w, remote.WithTransport(names{ours}))
		records := w.records(t)
		show(t, "go-containerregistry with our transport", records)
		judge(t, w, records)
	})
}

// The same with a transport of net/http that has the certificate: a comparison.
func TestGgcrItself(t *testing.T) {
	scenarios(t, func(t *testing.T, w *world) {
		pair, err := tls.LoadX509KeyPair(w.Client.Cert, w.Client.Key)
		if err != nil {
			t.Fatal(err)
		}
		own := remote.DefaultTransport.(*http.Transport).Clone()
		own.TLSClientConfig = &tls.Config{RootCAs: pool(t, w.CA), Certificates: []tls.Certificate{pair}}
		ggcrPullAndPush(t, w, remote.WithTransport(names{own}),
			remote.WithAuth(&authn.Basic{Username: w.User, Password: w.Password}))
		show(t, "go-containerregistry with its own transport", w.records(t))
	})
}

// names stands in for a DNS: go-containerregistry goes to no realm and follows no redirect whose host is a loopback address,
// but to names of such. What is below it sees the addresses.
type names struct{ below http.RoundTripper }

var (
	toNames     = strings.NewReplacer("//127.0.0.2:", "//tokens.test:", "//127.0.0.3:", "//blobs.test:")
	toAddresses = strings.NewReplacer("tokens.test:", "127.0.0.2:", "blobs.test:", "127.0.0.3:")
)

func (n names) RoundTrip(request *http.Request) (*http.Response, error) {
	sent := request.Clone(request.Context())
	sent.URL.Host, sent.Host = toAddresses.Replace(sent.URL.Host), ""
	response, err := n.below.RoundTrip(sent)
	if err == nil {
		for _, field := range []string{"Location", "Www-Authenticate"} {
			if value := response.Header.Get(field); value != "" {
				response.Header.Set(field, toNames.Replace(value))
			}
		}
	}
	return response, err
}

func ggcrReference(t *testing.T, w *world, repository string) name.Reference {
	t.Helper()
	reference, err := name.ParseReference(w.Registry + "/" + repository + ":one")
	if err != nil {
		t.Fatal(err)
	}
	return reference
}

func ggcrPullAndPush(t *testing.T, w *world, options ...remote.Option) {
	t.Helper()
	options = append(options, remote.WithContext(t.Context()))
	image, err := remote.Image(ggcrReference(t, w, w.Repository), options...)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil || len(layers) != len(w.Layers) {
		t.Fatalf("%d layers: %v", len(layers), err)
	}
	for _, layer := range layers {
		blob, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		// It checks the digest.
		if _, err := io.Copy(io.Discard, blob); err != nil {
			t.Fatal(err)
		}
		blob.Close()
	}
	pushed := ggcrReference(t, w, "demo/pushed")
	if err := remote.Write(pushed, image, options...); err != nil {
		t.Fatal(err)
	}
	descriptor, err := remote.Head(pushed, options...)
	if err != nil || descriptor.Digest.String() != w.Manifest {
		t.Fatalf("pushed %v: %v", descriptor, err)
	}
}
