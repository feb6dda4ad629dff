package transport

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// quiet is the log of servers whose handshakes are meant to fail.
var quiet = log.New(io.Discard, "", 0)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// roots are the certificate of a test server, as an authority of its own.
func roots(server *httptest.Server) [][]byte {
	return [][]byte{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}
}

func agentFor(t testing.TB, servers ...*httptest.Server) *regauth.Agent {
	config, err := regauth.NewConfig()
	must(t, err)
	defer config.Close()
	for _, server := range servers {
		must(t, config.Host(server.URL, regauth.Host{Roots: regauth.RootsPEM, RootsPEM: roots(server)}))
	}
	agent, err := regauth.NewAgent(config)
	must(t, err)
	t.Cleanup(agent.Close)
	return agent
}

// registry wants the token T, which its own token endpoint gives; it counts requests and tokens.
type registry struct {
	requests, tokens, refused atomic.Int64
	handle                    func(w http.ResponseWriter, r *http.Request)
	realm                     string
}

func (g *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.requests.Add(1)
	switch {
	case r.URL.Path == "/token":
		g.tokens.Add(1)
		fmt.Fprint(w, `{"token":"T","expires_in":300}`)
	case r.Header.Get("Authorization") != "Bearer T":
		g.refused.Add(1)
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s"`, g.realm))
		w.WriteHeader(http.StatusUnauthorized)
	default:
		g.handle(w, r)
	}
}

func start(t testing.TB, handle func(w http.ResponseWriter, r *http.Request)) (*registry, *httptest.Server) {
	g := &registry{handle: handle}
	server := httptest.NewUnstartedServer(g)
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{}
	server.StartTLS()
	t.Cleanup(server.Close)
	g.realm = server.URL
	return g, server
}

func TestItFetchesATokenAndStreamsOverHTTP2(t *testing.T) {
	g, server := start(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body); io.WriteString(w, "there") })
	client := &http.Client{Transport: New(agentFor(t, server), Options{})}
	answer, err := client.Get(server.URL + "/v2/app/manifests/1")
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	if string(text) != "there" || answer.ProtoMajor != 2 || g.tokens.Load() != 1 || g.requests.Load() != 3 {
		t.Errorf("came %q in HTTP/%d, %d tokens in %d requests", text, answer.ProtoMajor, g.tokens.Load(), g.requests.Load())
	}
}

func TestAnUploadHasItsTokenBeforeItsBody(t *testing.T) {
	g, server := start(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	client := &http.Client{Transport: New(agentFor(t, server), Options{})}
	// A reader that cannot begin anew.
	answer, err := client.Post(server.URL+"/v2/app/blobs/uploads/?digest=sha256:1", "text/plain", io.MultiReader(strings.NewReader("once")))
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	if string(text) != "once" || g.tokens.Load() != 1 || g.refused.Load() != 1 {
		t.Errorf("came %q, %d tokens, %d refused", text, g.tokens.Load(), g.refused.Load())
	}
}

func TestRedirectsCarryNothingToAnotherOrigin(t *testing.T) {
	var authorizations []string
	_, storage := start(t, nil)
	storage.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorizations = append(authorizations, r.Header.Get("Authorization"))
		io.WriteString(w, "blob")
	})
	_, server := start(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, storage.URL+"/blob?signature=x", http.StatusTemporaryRedirect)
	})
	client := &http.Client{Transport: New(agentFor(t, server, storage), Options{})}
	answer, err := client.Get(server.URL + "/v2/app/blobs/sha256:1")
	must(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	must(t, err)
	if string(text) != "blob" || len(authorizations) != 1 || authorizations[0] != "" {
		t.Errorf("came %q, with %q", text, authorizations)
	}
}
