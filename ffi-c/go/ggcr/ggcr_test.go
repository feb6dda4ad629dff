package ggcr

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	regauth "github.com/regauth/regauth/ffi-c/go"
	"github.com/regauth/regauth/ffi-c/go/transport"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Its own registry, behind tokens that are good for one repository each.
func TestAnImageIsPushedAndPulled(t *testing.T) {
	store := registry.New()
	var mu sync.Mutex
	var scopes []string
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			mu.Lock()
			scopes = append(scopes, strings.Join(r.URL.Query()["scope"], " "))
			mu.Unlock()
			fmt.Fprintf(w, `{"token":"T%x","expires_in":300}`, strings.Join(r.URL.Query()["scope"], " "))
			return
		}
		scope := ""
		if strings.HasPrefix(r.URL.Path, "/v2/app/") {
			scope = fmt.Sprintf("%x", "repository:app:pull")
		}
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer T"+scope) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s"`, server.URL))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		store.ServeHTTP(w, r)
	}))
	defer server.Close()

	config, err := regauth.NewConfig()
	must(t, err)
	defer config.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	must(t, config.Host(server.URL, regauth.Host{Roots: regauth.RootsPEM, RootsPEM: [][]byte{ca}}))
	agent, err := regauth.NewAgent(config)
	must(t, err)
	defer agent.Close()

	reference, err := name.ParseReference(strings.TrimPrefix(server.URL, "https://") + "/app:one")
	must(t, err)
	option, err := For(transport.New(agent, transport.Options{}), reference.Context().Registry)
	must(t, err)
	image, err := random.Image(1024, 3)
	must(t, err)
	must(t, remote.Write(reference, image, option))
	pulled, err := remote.Image(reference, option)
	must(t, err)
	want, err := image.Digest()
	must(t, err)
	if got, err := pulled.Digest(); err != nil || got != want {
		t.Errorf("pulled %v: %v", got, err)
	}
	if len(scopes) == 0 {
		t.Error("no token was fetched")
	}
}
