package interop

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/tonistiigi/fsutil"

	"github.com/regauth/regauth/ffi-c/go/buildkit"
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

// Stock buildkitd, and a client with our attachable: the tokens are fetched with the identity.
func TestBuildkitAttachable(t *testing.T) {
	scenarios(t, func(t *testing.T, w *world) {
		daemon := newBuildkitd(t, "buildkitd", registryTable(w), nil, "")
		daemon.wait(t)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		builder, err := client.New(ctx, daemon.address)
		if err != nil {
			t.Fatal(err)
		}
		defer builder.Close()
		files, err := fsutil.NewFS(buildContext(t, w))
		if err != nil {
			t.Fatal(err)
		}
		_, err = builder.Solve(ctx, nil, client.SolveOpt{
			Frontend:      "dockerfile.v0",
			FrontendAttrs: map[string]string{"platform": "linux/amd64"},
			LocalMounts:   map[string]fsutil.FS{"context": files, "dockerfile": files},
			Session:       []session.Attachable{buildkit.New(through(t, w))},
			Exports: []client.ExportEntry{{
				Type:  client.ExporterImage,
				Attrs: map[string]string{"name": w.Registry + "/" + w.Repository + ":built", "push": "true"},
			}},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		records := w.records(t)
		show(t, "a client with our attachable, stock buildkitd", records)
		wantIdentity(t, "request of the registry", records, registry)
		wantIdentity(t, "token request", records, token)
		wantBuilt(t, records)
	})
}

// Stock buildctl, and a buildkitd with our resolver linked in: nothing but the registry and its token endpoint sees the
// identity.
func TestBuildkitd(t *testing.T) {
	scenarios(t, func(t *testing.T, w *world) {
		pairs := write(t, filepath.Join(t.TempDir(), "regauth.toml"), regauthTOML(w))
		environment := []string{"REGAUTH_CONFIG=" + pairs, "DOCKER_CONFIG=" + w.dockerConfig(t)}
		daemon := newBuildkitd(t, "buildkitd-regauth", registryTable(w), environment, "")
		daemon.wait(t)
		output, err := daemon.build(t, w)
		if err != nil {
			t.Fatalf("%v:\n%s", err, output)
		}
		records := w.records(t)
		show(t, "stock buildctl, buildkitd with our resolver", records)
		judge(t, w, records)
		wantBuilt(t, records)
	})
}

// wantBuilt fails when the image that was built has not come into the registry.
func wantBuilt(t *testing.T, records []record) {
	t.Helper()
	for _, r := range records {
		if r.Method == "PUT" && strings.HasSuffix(r.Target, "/manifests/built") && r.Status == 201 {
			return
		}
	}
	t.Error("no image was pushed")
}
