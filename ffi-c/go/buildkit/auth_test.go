package buildkit

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/moby/buildkit/session/auth"
	"golang.org/x/crypto/nacl/sign"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	regauth "github.com/regauth/regauth/ffi-c/go"
	"github.com/regauth/regauth/ffi-c/go/transport"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// endpoint is a token endpoint that counts its requests, and an attachable that has a password for its host.
func endpoint(t *testing.T) (*httptest.Server, *attachable, *atomic.Int64) {
	t.Helper()
	count := new(atomic.Int64)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		if user, password, _ := r.BasicAuth(); user != "robot" || password != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintf(w, `{"token":"T-%s","expires_in":300}`, strings.Join(r.URL.Query()["scope"], "-"))
	}))
	t.Cleanup(server.Close)
	config, err := regauth.NewConfig()
	must(t, err)
	defer config.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	must(t, config.Host(server.URL, regauth.Host{Roots: regauth.RootsPEM, RootsPEM: [][]byte{ca}}))
	must(t, config.Credentials(server.URL, regauth.Credentials{Kind: regauth.Basic, User: "robot", Secret: "s3cret"}))
	agent, err := regauth.NewAgent(config)
	must(t, err)
	t.Cleanup(agent.Close)
	return server, New(transport.New(agent, transport.Options{})).(*attachable), count
}

func TestTokensAreFetchedOnceForEachScope(t *testing.T) {
	server, a, count := endpoint(t)
	for _, scope := range []string{"repository:app:pull", "repository:app:pull", "repository:app:pull,push"} {
		answer, err := a.FetchToken(t.Context(), &auth.FetchTokenRequest{
			Host: strings.TrimPrefix(server.URL, "https://"), Realm: server.URL + "/token", Service: "s", Scopes: []string{scope},
		})
		must(t, err)
		if answer.Token != "T-"+scope || answer.ExpiresIn <= 0 {
			t.Errorf("%s: %v", scope, answer)
		}
	}
	if count.Load() != 2 {
		t.Errorf("%d requests", count.Load())
	}
}

func TestADaemonCannotNameAnotherRealm(t *testing.T) {
	server, a, count := endpoint(t)
	for realm, code := range map[string]codes.Code{
		strings.Replace(server.URL, "127.0.0.1", "localhost", 1): codes.PermissionDenied,
		"http://elsewhere.example/token":                         codes.PermissionDenied,
		"https://x\",scope=\"y":                                  codes.InvalidArgument,
	} {
		_, err := a.FetchToken(t.Context(), &auth.FetchTokenRequest{
			Host: strings.TrimPrefix(server.URL, "https://"), Realm: realm, Scopes: []string{"repository:app:pull"},
		})
		if status.Code(err) != code || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", realm, err)
		}
	}
	if count.Load() != 0 {
		t.Errorf("%d requests", count.Load())
	}
}

func TestTheAuthorityIsProved(t *testing.T) {
	_, a, _ := endpoint(t)
	salt, payload := []byte("salt"), []byte("payload")
	authority, err := a.GetTokenAuthority(t.Context(), &auth.GetTokenAuthorityRequest{Host: "reg.example", Salt: salt})
	must(t, err)
	proof, err := a.VerifyTokenAuthority(t.Context(), &auth.VerifyTokenAuthorityRequest{Host: "reg.example", Salt: salt, Payload: payload})
	must(t, err)
	// As the daemon checks it.
	key := (*[32]byte)(authority.PublicKey)
	if opened, ok := sign.Open(nil, proof.Signed, key); !ok || !bytes.Equal(opened, payload) {
		t.Error("the daemon would not believe it")
	}
	_, other, _ := endpoint(t)
	for what, proof := range map[string]func() (*auth.VerifyTokenAuthorityResponse, error){
		"another session": func() (*auth.VerifyTokenAuthorityResponse, error) {
			return other.VerifyTokenAuthority(t.Context(), &auth.VerifyTokenAuthorityRequest{Host: "reg.example", Salt: salt, Payload: payload})
		},
		"another host": func() (*auth.VerifyTokenAuthorityResponse, error) {
			return a.VerifyTokenAuthority(t.Context(), &auth.VerifyTokenAuthorityRequest{Host: "other.example", Salt: salt, Payload: payload})
		},
	} {
		answer, err := proof()
		must(t, err)
		if _, ok := sign.Open(nil, answer.Signed, key); ok {
			t.Errorf("%s proves it too", what)
		}
	}
}

func TestNoPasswordIsLent(t *testing.T) {
	server, a, _ := endpoint(t)
	answer, err := a.Credentials(t.Context(), &auth.CredentialsRequest{Host: strings.TrimPrefix(server.URL, "https://")})
	must(t, err)
	if answer.Username != "" || answer.Secret != "" {
		t.Errorf("lent %v", answer)
	}
}
