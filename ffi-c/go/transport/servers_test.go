package transport

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// get reads the whole of one answer.
func get(t testing.TB, client *http.Client, url string) []byte {
	request, err := http.NewRequest("GET", url, nil)
	must(t, err)
	request.Header.Set("Accept", manifestType)
	answer, err := client.Do(request)
	if err != nil {
		t.Errorf("%s: %v", url, err)
		return nil
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v: %s", url, answer.Status, err, content)
	}
	return content
}

// pull pulls an image: its manifest, then all blobs at once.
func pull(t testing.TB, client *http.Client, base string, i *image) {
	if got := get(t, client, base+"/manifests/one"); !bytes.Equal(got, i.manifest) {
		t.Errorf("%s: another manifest of %d bytes", base, len(got))
	}
	var all sync.WaitGroup
	for digest, content := range i.blobs {
		all.Go(func() {
			if got := get(t, client, base+"/blobs/"+digest); !bytes.Equal(got, content) {
				t.Errorf("%s: another blob of %d bytes", digest, len(got))
			}
		})
	}
	all.Wait()
}

func expect(t *testing.T, what string, hops []hop, wanted counts) {
	t.Helper()
	came := count(hops)
	t.Logf("%s: %v", what, came)
	if came != wanted {
		t.Errorf("%s: wanted %v\n%s", what, wanted, lines(hops))
	}
}

func lines(hops []hop) string {
	var text strings.Builder
	for _, h := range hops {
		fmt.Fprintf(&text, "%+v\n", h)
	}
	return text.String()
}

func TestPullOfTenBlobsColdAndWarm(t *testing.T) {
	w, i := newWorld(t, 'A'), newImage(10)
	w.seed(i, "demo/app")
	client := &http.Client{Transport: New(w.agent(), Options{})}
	pull(t, client, w.registry+"/v2/demo/app", i)
	expect(t, "cold", w.hops(), counts{13, 1, 1, 1, 1})
	pull(t, client, w.registry+"/v2/demo/app", i)
	expect(t, "warm", w.hops(), counts{11, 0, 0, 1, 1})
	// From the start of the log: the one connection is the first one's.
	w.logged = 0
	expect(t, "both", w.hops(), counts{24, 1, 1, 1, 1})
}

func TestPullOfAHundredRepositories(t *testing.T) {
	w, i := newWorld(t, 'A'), newImage(10)
	var repositories []string
	for n := range 100 {
		repositories = append(repositories, fmt.Sprintf("demo/app%d", n))
	}
	w.seed(i, repositories[0], repositories[1:]...)
	client := &http.Client{Transport: New(w.agent(), Options{})}
	for _, repository := range repositories {
		pull(t, client, w.registry+"/v2/"+repository, i)
	}
	expect(t, "100 repositories", w.hops(), counts{1201, 1, 100, 1, 1})
}

func TestPushWithTenMounts(t *testing.T) {
	w, i := newWorld(t, 'A'), newImage(10)
	w.seed(i, "demo/base")
	client := &http.Client{Transport: New(w.agent(), Options{})}
	base := w.registry + "/v2/demo/copy"
	for digest := range i.blobs {
		answer, err := client.Post(base+"/blobs/uploads/?mount="+digest+"&from=demo/base", "", nil)
		must(t, err)
		answer.Body.Close()
		if answer.StatusCode != http.StatusCreated {
			t.Errorf("mount of %s: %s", digest, answer.Status)
		}
	}
	request, err := http.NewRequest("PUT", base+"/manifests/one", bytes.NewReader(i.manifest))
	must(t, err)
	request.Header.Set("Content-Type", manifestType)
	answer, err := client.Do(request)
	must(t, err)
	answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		t.Errorf("manifest: %s", answer.Status)
	}
	expect(t, "push with 10 mounts", w.hops(), counts{13, 1, 1, 1, 1})
	pull(t, client, base, i)
}

func TestATokenRevokedWithTenInFlight(t *testing.T) {
	w, i := newWorld(t, 'A'), newImage(10)
	w.seed(i, "demo/app")
	agent := w.agent()
	var later atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	client := &http.Client{Transport: New(agent, Options{Now: now})}
	pull(t, client, w.registry+"/v2/demo/app", i)
	w.hops()
	header, ok := agent.Authorize(nil, now(), "GET", w.registry+"/v2/demo/app/manifests/one")
	if !ok {
		t.Fatal("there is no token")
	}
	// A token that is refused within 5 s of its receipt is asked about once more, since clocks differ.
	later.Store(int64(10 * time.Second))
	must(t, os.WriteFile(filepath.Join(w.dir, "revoked-"+string(header[len(header)-12:])), nil, 0o600))
	var all sync.WaitGroup
	for digest, content := range i.blobs {
		all.Go(func() {
			if got := get(t, client, w.registry+"/v2/demo/app/blobs/"+digest); !bytes.Equal(got, content) {
				t.Errorf("%s: another blob of %d bytes", digest, len(got))
			}
		})
	}
	all.Wait()
	hops := w.hops()
	came := count(hops)
	t.Logf("token revoked with 10 in flight: %v", came)
	if came.tokens != 1 || came.refused < 1 || came.refused > 10 || came.requests != 10+came.refused+1 {
		t.Errorf("came %v\n%s", came, lines(hops))
	}
}

func TestTheIdentityIsShownWhereItBelongs(t *testing.T) {
	for _, scenario := range []byte("ABC") {
		t.Run(string(scenario), func(t *testing.T) {
			w, i := newWorld(t, scenario), newImage(4)
			w.seed(i, "demo/app")
			client := &http.Client{Transport: New(w.agent(), Options{})}
			pull(t, client, w.registry+"/v2/demo/app", i)
			hops := w.hops()
			t.Log("\n" + lines(hops))
			storage, tokens := 0, 0
			for _, h := range hops {
				switch {
				case h.server == "127.0.0.3":
					storage++
					if h.dn != "" && h.dn != "-" || h.authz != "-" || h.status != http.StatusOK {
						t.Errorf("the blob store sees %+v", h)
					}
				case h.dn != "CN=buildbot-1":
					t.Errorf("no identity in %+v", h)
				case h.path == "/service/token":
					tokens++
					if host := fmt.Sprintf("https://%s:%d", h.server, w.port); h.authz != "Basic" || host != w.auth {
						t.Errorf("the token request is %+v", h)
					}
				}
			}
			if wanted := map[byte]int{'A': 0, 'B': 0, 'C': 4}[scenario]; storage != wanted || tokens != 1 {
				t.Errorf("%d requests at the blob store, %d for a token", storage, tokens)
			}
		})
	}
}

// The files that people have: the identity is that of certs.d, as on a machine with Docker.
func TestImportedFilesGiveTheIdentity(t *testing.T) {
	w, i := newWorld(t, 'A'), newImage(3)
	w.seed(i, "demo/app")
	host := filepath.Join(w.dir, "certs.d", fmt.Sprintf("127.0.0.1:%d", w.port))
	must(t, os.MkdirAll(host, 0o755))
	for name, content := range map[string][]byte{"ca.crt": w.ca, "client.cert": w.client.pem, "client.key": w.client.keyPEM(t)} {
		must(t, os.WriteFile(filepath.Join(host, name), content, 0o600))
	}
	login := fmt.Sprintf(`{"auths":{"127.0.0.1:%d":{"username":"robot","password":"s3cret"}}}`, w.port)
	config, said, err := regauth.Importer{Now: time.Now()}.Import(
		regauth.Source{Format: regauth.DockerCerts, Paths: []string{filepath.Join(w.dir, "certs.d")}},
		regauth.Source{Format: regauth.DockerConfig, Paths: []string{w.file("config.json", []byte(login))}})
	must(t, err)
	defer config.Close()
	for _, one := range said {
		if one.Severity == regauth.Severe {
			t.Error(one)
		}
	}
	agent, err := regauth.NewAgent(config)
	must(t, err)
	defer agent.Close()
	pull(t, &http.Client{Transport: New(agent, Options{})}, w.registry+"/v2/demo/app", i)
	for _, h := range w.hops() {
		if h.dn != "CN=buildbot-1" {
			t.Errorf("no identity in %+v", h)
		}
	}
}

func TestAStreamOfUnknownLengthIsUploaded(t *testing.T) {
	w := newWorld(t, 'A')
	client := &http.Client{Transport: New(w.agent(), Options{})}
	base := w.registry + "/v2/demo/upload"
	begun, err := client.Post(base+"/blobs/uploads/", "", nil)
	must(t, err)
	begun.Body.Close()
	location, err := begun.Location()
	must(t, err)
	w.hops()
	// 32 MiB that nobody holds in memory, through a pipe that cannot be read twice.
	const size = 32 << 20
	from, to := io.Pipe()
	hash := sha256.New()
	go func() {
		block := bytes.Repeat([]byte("stream"), 10_000)
		for left := size; left > 0; left -= len(block) {
			block = block[:min(left, len(block))]
			hash.Write(block)
			if _, err := to.Write(block); err != nil {
				return
			}
		}
		to.Close()
	}()
	ctx := WithHop(t.Context(), regauth.HopUpload, NamedBy(begun))
	request, err := http.NewRequestWithContext(ctx, "PATCH", location.String(), from)
	must(t, err)
	request.Header.Set("Content-Type", "application/octet-stream")
	sent, err := client.Do(request)
	must(t, err)
	sent.Body.Close()
	if sent.StatusCode != http.StatusAccepted {
		t.Fatalf("PATCH: %s", sent.Status)
	}
	location, err = sent.Location()
	must(t, err)
	location.RawQuery += fmt.Sprintf("&digest=sha256:%x", hash.Sum(nil))
	request, err = http.NewRequestWithContext(WithHop(t.Context(), regauth.HopUpload, NamedBy(sent)), "PUT", location.String(), nil)
	must(t, err)
	done, err := client.Do(request)
	must(t, err)
	done.Body.Close()
	if done.StatusCode != http.StatusCreated {
		t.Errorf("PUT: %s", done.Status)
	}
	expect(t, "upload", w.hops(), counts{2, 0, 0, 1, 1})
}

// What a registry without our identity says, in the words of the core.
func TestWithoutAnIdentityTheAnswerSaysWhy(t *testing.T) {
	w := newWorld(t, 'B')
	config, err := regauth.NewConfig()
	must(t, err)
	defer config.Close()
	must(t, config.Roots(regauth.RootsPEM, w.ca))
	must(t, config.Host(w.registry, regauth.Host{Identities: []*regauth.Identity{w.identity}}))
	must(t, config.Credentials(w.registry, regauth.Credentials{Kind: regauth.Basic, User: "robot", Secret: "s3cret"}))
	// Not paired: no password leaves for another host.
	agent, err := regauth.NewAgent(config)
	must(t, err)
	defer agent.Close()
	client := &http.Client{Transport: New(agent, Options{})}
	_, err = client.Get(w.registry + "/v2/demo/app/manifests/one")
	var said *regauth.Error
	if !errors.As(err, &said) || said.Fault != regauth.FaultPolicy || said.Kind != regauth.ErrorAsk || said.Hop != regauth.HopToken ||
		!strings.Contains(said.Line, w.auth) {
		t.Errorf("came %+v", err)
	}
	// Paired without the identity: nginx refuses the token request over HTTP.
	must(t, config.Pair(regauth.Pair{Registry: w.registry, Kind: regauth.PairToken, Other: w.auth}))
	paired, err := regauth.NewAgent(config)
	must(t, err)
	defer paired.Close()
	client = &http.Client{Transport: New(paired, Options{})}
	_, err = client.Get(w.registry + "/v2/demo/app/manifests/one")
	if !errors.As(err, &said) || said.Fault != regauth.FaultTokenService || said.HTTPStatus != 400 ||
		said.Certificates != regauth.CertificateRejectedOverHTTP {
		t.Errorf("came %+v", err)
	}
}
