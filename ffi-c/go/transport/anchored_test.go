package transport

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAnotherOriginIsNamedByTheRegistry(t *testing.T) {
	g, server := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "there") })
	// It asks for a token too, and is configured as a registry of its own.
	other, storage := start(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "there") })
	through := New(agentFor(t, server, storage), Options{})
	tripper, err := through.Anchored(server.URL)
	must(t, err)
	client := &http.Client{Transport: tripper}
	answer, err := client.Get(server.URL + "/v2/app/manifests/1")
	must(t, err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK || g.tokens.Load() != 1 {
		t.Errorf("came %d with %d tokens", answer.StatusCode, g.tokens.Load())
	}
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		request, err := http.NewRequest(method, storage.URL+"/v2/app/blobs/uploads/1", strings.NewReader("text"))
		must(t, err)
		answer, err = client.Do(request)
		must(t, err)
		answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized || other.tokens.Load() != 0 {
			t.Errorf("%s: came %d with %d tokens", method, answer.StatusCode, other.tokens.Load())
		}
	}
}
