package transport

import (
	"bytes"
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
