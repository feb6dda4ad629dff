package transport

import (
	"net/http"
	"strings"
	"testing"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

func TestAChallengeOfAnotherClientIsAnswered(t *testing.T) {
	g, server := start(t, nil)
	agent := agentFor(t, server)
	through := New(agent, Options{})
	challenge := Challenge{
		Method: http.MethodGet, URL: server.URL + "/v2/",
		Header: http.Header{"Www-Authenticate": {`Bearer realm="` + server.URL + `/token",service="s"`}},
		Scopes: []string{"repository:app:pull"},
	}
	for range 2 {
		value, err := through.Authorization(t.Context(), challenge)
		must(t, err)
		if value != "Bearer T" {
			t.Fatalf("came %q", value)
		}
	}
	// The second time it is known, and the registry was never asked.
	if g.tokens.Load() != 1 || g.requests.Load() != 1 {
		t.Errorf("%d tokens in %d requests", g.tokens.Load(), g.requests.Load())
	}
}

func TestAChallengeFromElsewhereGetsNoPassword(t *testing.T) {
	_, server := start(t, nil)
	g, elsewhere := start(t, nil)
	config, err := regauth.NewConfig()
	must(t, err)
	defer config.Close()
	// Another host, not only another port.
	other := strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)
	must(t, config.Host(server.URL, regauth.Host{Roots: regauth.RootsPEM, RootsPEM: roots(server)}))
	password := regauth.Credentials{Kind: regauth.Basic, User: "robot", Secret: "s3cret"}
	must(t, config.Credentials(server.URL, password))
	agent, err := regauth.NewAgent(config)
	must(t, err)
	defer agent.Close()
	through := New(agent, Options{})
	_, err = through.Authorization(t.Context(), Challenge{
		Method: http.MethodGet, URL: server.URL + "/v2/",
		Header: http.Header{"Www-Authenticate": {`Bearer realm="` + other + `/token",service="s"`}},
	})
	if err == nil || !strings.Contains(err.Error(), other) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("the error is %v", err)
	}
	if g.requests.Load() != 0 {
		t.Errorf("%d requests went there", g.requests.Load())
	}
}
