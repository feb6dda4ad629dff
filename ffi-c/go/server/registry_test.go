package server_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const manifestType = "application/vnd.oci.image.manifest.v1+json"

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// distribution starts distribution v3, which asks for nothing, and gives its address.
func distribution(t *testing.T) string {
	program, err := filepath.Abs("../../../.tools/bin/registry-v3")
	if err == nil {
		_, err = os.Stat(program)
	}
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal("registry-v3 is missing: run tests/servers/install.sh")
	case err != nil:
		t.Skip("SKIPPED: registry-v3 is missing: run tests/servers/install.sh")
	}
	directory := t.TempDir()
	config := fmt.Sprintf("version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\n"+
		"http: {addr: '127.0.0.1:0', relativeurls: true, secret: test}\n", filepath.Join(directory, "data"))
	must(t, os.WriteFile(filepath.Join(directory, "config.yml"), []byte(config), 0o600))
	log := made[*os.File](t)(os.Create(filepath.Join(directory, "log")))
	said := func() []byte { return made[[]byte](t)(os.ReadFile(log.Name())) }
	command := exec.Command(program, "serve", filepath.Join(directory, "config.yml"))
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "OTEL_TRACES_EXPORTER=none"}
	command.Stdout, command.Stderr = log, log
	must(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		log.Close()
		if t.Failed() {
			t.Logf("distribution: %s", said())
		}
	})
	for range 800 {
		// It chooses a port by itself, and says which.
		if found := listening.FindSubmatch(said()); found != nil {
			return string(found[1])
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("distribution does not listen")
	return ""
}

// An image of one blob is pushed and pulled through the guard, and by nobody else.
func TestPushToDistributionBehindTheGuard(t *testing.T) {
	backend := &url.URL{Scheme: "http", Host: distribution(t)}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(backend) }}
	w := newWorld(t, proxy, nil)
	client, thief := w.client(builder(t, w.ca, "b-1")), w.client(builder(t, w.ca, "b-2"))
	token := w.tokenFor(client, scope)
	send := func(client *http.Client, method, target, kind string, body []byte, wanted int) *http.Response {
		t.Helper()
		request := made[*http.Request](t)(http.NewRequest(method, w.URL+target, bytes.NewReader(body)))
		request.Header.Set("Authorization", token)
		request.Header.Set("Content-Type", kind)
		request.Header.Set("Accept", manifestType)
		answer := made[*http.Response](t)(client.Do(request))
		defer answer.Body.Close()
		said := made[[]byte](t)(io.ReadAll(answer.Body))
		if answer.StatusCode != wanted {
			t.Fatalf("%s %s: came %s, %s: %s", method, target, answer.Status, w.reason(), said)
		}
		answer.Body = io.NopCloser(bytes.NewReader(said))
		return answer
	}
	digest := func(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }
	blob := []byte("{}")
	const repository = "/v2/builds/b-1"
	send(thief, "POST", repository+"/blobs/uploads/", "", nil, 401)
	location := send(client, "POST", repository+"/blobs/uploads/", "", nil, 202).Header.Get("Location")
	if !strings.HasPrefix(location, repository) || !strings.Contains(location, "?") {
		t.Fatalf("the upload is at %s", location)
	}
	send(client, "PUT", location+"&digest="+digest(blob), "application/octet-stream", blob, 201)
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.empty.v1+json",`+
		`"digest":%q,"size":2},"layers":[]}`, manifestType, digest(blob))
	send(thief, "PUT", push, manifestType, manifest, 401)
	send(client, "PUT", push, manifestType, manifest, 201)
	if got := made[[]byte](t)(io.ReadAll(send(client, "GET", push, "", nil, 200).Body)); !bytes.Equal(got, manifest) {
		t.Errorf("another manifest came: %s", got)
	}
	send(thief, "GET", push, "", nil, 401)
	send(client, "GET", "/v2/builds/b-2/manifests/latest", "", nil, 401)
	send(client, "DELETE", repository+"/manifests/"+digest(manifest), "", nil, 401)
}
