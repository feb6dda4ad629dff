package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	regauth "github.com/regauth/regauth/ffi-c/go"
	"github.com/regauth/regauth/ffi-c/go/transport"
)

// regauthTOML is what buildkitd.toml cannot say: the other hosts of the world. The token endpoint of scenario B belongs to
// the registry and may see its identity; the blob store of scenario C is only trusted to be who it is.
func regauthTOML(w *world) string {
	text := ""
	if w.TokenHost != w.Registry {
		text += fmt.Sprintf("[[pair]]\nregistry = \"https://%s\"\ntoken = \"https://%s\"\nidentity = true\n\n", w.Registry, w.TokenHost)
		text += fmt.Sprintf("[host.\"https://%s\"]\nca = %q\n\n", w.TokenHost, w.CA)
	}
	if w.BlobHost != w.Registry {
		text += fmt.Sprintf("[host.\"https://%s\"]\nca = %q\n\n", w.BlobHost, w.CA)
	}
	return text
}

// through is our transport, configured by the files that BuildKit's users have, and regauth.toml where they do not do.
func through(t *testing.T, w *world) *transport.Transport {
	t.Helper()
	config, diagnostics, err := regauth.Importer{}.Import(
		regauth.Source{Format: regauth.Buildkitd, Paths: []string{"buildkitd.toml"}, Data: []byte(registryTable(w))},
		regauth.Source{Format: regauth.Regauth, Paths: []string{"regauth.toml"}, Data: []byte(regauthTOML(w))},
		regauth.Source{Format: regauth.DockerConfig, Paths: []string{filepath.Join(w.dockerConfig(t), "config.json")}},
	)
	if err != nil {
		t.Fatal(err)
	}
	defer config.Close()
	for _, diagnostic := range diagnostics {
		if diagnostic.Severity == regauth.Severe {
			t.Fatal(diagnostic)
		}
	}
	agent, err := regauth.NewAgent(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(agent.Close)
	return transport.New(agent, transport.Options{})
}

// judge is what the log of ours has to say: the identity on every hop to registry and token endpoint, and nothing at the
// blob store.
func judge(t *testing.T, w *world, records []record) {
	t.Helper()
	wantIdentity(t, "request of the registry", records, registry)
	wantIdentity(t, "token request", records, token)
	stored := 0
	for _, r := range records {
		if host, _, _ := strings.Cut(w.BlobHost, ":"); w.BlobHost != w.Registry && r.Server == host {
			stored++
			if r.ShowedIdentity || r.Authz != nil {
				t.Errorf("the blob store saw an identity: %s", r.Brief)
			}
		}
		if r.Status == 400 {
			t.Errorf("nginx refused: %s", r.Brief)
		}
	}
	if w.BlobHost != w.Registry && stored == 0 {
		t.Error("nothing came from the blob store")
	}
}

// scenarios runs a test in A (one host), B (the token endpoint on another) and C (blobs redirected to a third).
func scenarios(t *testing.T, body func(t *testing.T, w *world)) {
	for _, scenario := range []string{"A", "B", "C"} {
		t.Run(scenario, func(t *testing.T) { body(t, newWorld(t, scenario)) })
	}
}
