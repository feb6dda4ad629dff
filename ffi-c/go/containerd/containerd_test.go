package containerd

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"

	regauth "github.com/regauth/regauth/ffi-c/go"
	"github.com/regauth/regauth/ffi-c/go/transport"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func through(t *testing.T, sources ...regauth.Source) *transport.Transport {
	t.Helper()
	config, _, err := regauth.Importer{}.Import(sources...)
	must(t, err)
	defer config.Close()
	agent, err := regauth.NewAgent(config)
	must(t, err)
	t.Cleanup(agent.Close)
	return transport.New(agent, transport.Options{})
}

func TestHostsAreMirrorsAndThenTheRegistry(t *testing.T) {
	hosts := Hosts(through(t, regauth.Source{
		Format: regauth.Buildkitd, Paths: []string{"buildkitd.toml"},
		Data: []byte(`
[registry."docker.io"]
  mirrors = ["mirror.example/hub", "plain.example:5000"]
[registry."plain.example:5000"]
  http = true
`),
	}))
	for registry, want := range map[string]string{
		"docker.io":   "https mirror.example /v2/hub 3, http plain.example:5000 /v2 3, https registry-1.docker.io /v2 15",
		"reg.example": "https reg.example /v2 15",
		"[::1]:5000":  "https [::1]:5000 /v2 15",
	} {
		found, err := hosts(registry)
		must(t, err)
		var all []string
		for _, host := range found {
			all = append(all, fmt.Sprintf("%s %s %s %d", host.Scheme, host.Host, host.Path, host.Capabilities))
			if host.Client == nil || host.Authorizer != nil {
				t.Errorf("%s: client %v, authorizer %v", host.Host, host.Client, host.Authorizer)
			}
		}
		if got := strings.Join(all, ", "); got != want {
			t.Errorf("%s: %s", registry, got)
		}
	}
	if _, err := hosts("https://reg.example"); err == nil {
		t.Error("a URL is no registry")
	}
}

// registry wants the token T, which its own token endpoint gives.
func registry(t *testing.T) (*httptest.Server, *atomic.Int64) {
	tokens := new(atomic.Int64)
	var server *httptest.Server
	server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			tokens.Add(1)
			fmt.Fprint(w, `{"token":"T","expires_in":300}`)
		case r.Header.Get("Authorization") != "Bearer T":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s"`, server.URL))
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	return server, tokens
}

func TestTheAuthorizerFetchesForAnotherClient(t *testing.T) {
	server, tokens := registry(t)
	config, err := regauth.NewConfig()
	must(t, err)
	defer config.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	must(t, config.Host(server.URL, regauth.Host{Roots: regauth.RootsPEM, RootsPEM: [][]byte{ca}}))
	agent, err := regauth.NewAgent(config)
	must(t, err)
	defer agent.Close()
	authorizer := NewAuthorizer(transport.New(agent, transport.Options{}))
	ctx := docker.WithScope(t.Context(), "repository:app:pull")

	url := server.URL + "/v2/app/manifests/1"
	send := func() *http.Response {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		must(t, err)
		must(t, authorizer.Authorize(ctx, request))
		response, err := server.Client().Do(request)
		must(t, err)
		response.Body.Close()
		return response
	}
	refused := send()
	if refused.StatusCode != http.StatusUnauthorized {
		t.Fatalf("came %s", refused.Status)
	}
	must(t, authorizer.AddResponses(ctx, []*http.Response{refused}))
	if answer := send(); answer.StatusCode != http.StatusOK || tokens.Load() != 1 {
		t.Errorf("came %s with %d tokens", answer.Status, tokens.Load())
	}
	if err := authorizer.AddResponses(ctx, nil); !errdefs.IsNotImplemented(err) {
		t.Errorf("no response: %v", err)
	}
	redirected := *refused
	redirected.Request = refused.Request.Clone(ctx)
	redirected.Request.Response = refused
	if err := authorizer.AddResponses(ctx, []*http.Response{&redirected}); !errdefs.IsNotImplemented(err) {
		t.Errorf("the challenge after a redirect: %v", err)
	}
}
