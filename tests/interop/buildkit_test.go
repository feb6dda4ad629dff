package interop

import (
	"strings"
	"testing"
)

// Stock buildkitd has the key pair, and stock buildctl asks for the token: without it.
func TestStockBuildkit(t *testing.T) {
	w := newWorld(t, "A")
	daemon := newBuildkitd(t, "buildkitd", registryTable(w), nil, "")
	daemon.wait(t)
	output, err := daemon.build(t, w)
	records := w.records(t)
	show(t, "stock buildctl, stock buildkitd with keypair", records)
	if err == nil {
		t.Fatalf("it builds: the comparison has no ground any more:\n%s", output)
	}
	wantIdentity(t, "request of the registry", records, registry)
	tokens := 0
	for _, r := range records {
		if r.Token {
			tokens++
			if r.Status != 400 || r.ShowedIdentity {
				t.Errorf("a token request that nginx did not refuse for lack of a certificate: %s", r.Brief)
			}
		}
	}
	if tokens == 0 {
		t.Errorf("no token request:\n%s", output)
	}
	if at := strings.Index(output, "ERROR:"); at >= 0 {
		t.Logf("buildctl: %s", strings.TrimSpace(output[at:]))
	}
}

// The same with the certificate given to buildctl too, for every scenario: what is compared with ours below, and the
// proof that the daemon of these tests builds.
func TestStockBuildkitWithTLSContext(t *testing.T) {
	for _, scenario := range []string{"A", "B", "C"} {
		t.Run(scenario, func(t *testing.T) {
			w := newWorld(t, scenario)
			daemon := newBuildkitd(t, "buildkitd", registryTable(w), nil, "")
			daemon.wait(t)
			output, err := daemon.build(t, w, "--registry-auth-tlscontext",
				"host="+w.Registry+",ca="+w.CA+",cert="+w.Client.Cert+",key="+w.Client.Key)
			if err != nil {
				t.Errorf("%v:\n%s", err, output)
			}
			show(t, "stock buildctl with --registry-auth-tlscontext, stock buildkitd", w.records(t))
		})
	}
}
