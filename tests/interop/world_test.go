package interop

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// world is nginx in front of distribution v3 and a token service: the example `world` of tests/servers, which says
// there what the scenarios are.
type world struct {
	Registry   string `json:"registry"`
	TokenHost  string `json:"token_host"`
	BlobHost   string `json:"blob_host"`
	Directory  string `json:"directory"`
	CA         string `json:"ca"`
	Client     pair   `json:"client"`
	User       string `json:"user"`
	Password   string `json:"password"`
	Repository string `json:"repository"`
	Manifest   string `json:"manifest"`
	Layers     []string

	questions io.Writer
	answers   *bufio.Reader
	seen      int
}

type pair struct{ Cert, Key string }

// record is one line of nginx's log.
type record struct {
	Server, Method, Target, Verify, Brief string
	Status                                int
	DN, Authz                             *string
	Connection                            int
	Token, Blob                           bool
	ShowedIdentity                        bool `json:"showed_identity"`
}

// identity is the subject of the certificate that every test configures.
const identity = "CN=buildbot-1"

func newWorld(t *testing.T, scenario string) *world {
	t.Helper()
	for _, name := range []string{"nginx", "registry-v3"} {
		program(t, name)
	}
	command := exec.Command(example(t, "world"), scenario)
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The end of its input ends it, and it ends its programs.
		_ = input.Close()
		timer := time.AfterFunc(20*time.Second, func() { _ = command.Process.Kill() })
		defer timer.Stop()
		if err := command.Wait(); err != nil {
			t.Errorf("the world did not end well: %v", err)
		}
	})
	w := &world{questions: input, answers: bufio.NewReader(output)}
	w.read(t, w)
	return w
}

func (w *world) read(t *testing.T, to any) {
	t.Helper()
	line, err := w.answers.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, to)
	}
	if err != nil {
		t.Fatalf("the world says nothing that can be read: %v: %s", err, line)
	}
}

// records returns what nginx has logged since the last call.
func (w *world) records(t *testing.T) []record {
	t.Helper()
	fmt.Fprintln(w.questions, "records")
	var all []record
	w.read(t, &all)
	fresh := all[w.seen:]
	w.seen = len(all)
	return fresh
}

// dockerConfig writes a directory for DOCKER_CONFIG with the password of the registry.
func (w *world) dockerConfig(t *testing.T) string {
	t.Helper()
	directory := t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte(w.User + ":" + w.Password))
	write(t, filepath.Join(directory, "config.json"),
		fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, w.Registry, auth))
	return directory
}

// show prints records into the output of the test, equal ones once.
func show(t *testing.T, what string, records []record) {
	t.Helper()
	var lines []string
	count := map[string]int{}
	for _, r := range records {
		line := brief(r)
		if count[line]++; count[line] == 1 {
			lines = append(lines, line)
		}
	}
	for i, line := range lines {
		if count[line] > 1 {
			lines[i] = fmt.Sprintf("%s (%d times)", line, count[line])
		}
	}
	t.Logf("%s:\n%s", what, strings.Join(lines, "\n"))
}

// changing is what differs from run to run or from blob to blob: digests, upload sessions and the connection's number.
var changing = regexp.MustCompile(`(sha256:|uploads/)[0-9a-f-]+| conn=.*`)

func brief(r record) string { return changing.ReplaceAllString(r.Brief, "$1") }

// wantIdentity fails for every record that did not show the identity, of those that `is` names, and for none at all.
func wantIdentity(t *testing.T, what string, records []record, is func(record) bool) {
	t.Helper()
	count := 0
	for _, r := range records {
		if !is(r) {
			continue
		}
		count++
		if r.Verify != "SUCCESS" || r.DN == nil || *r.DN != identity {
			t.Errorf("%s without the identity: %s", what, r.Brief)
		}
	}
	if count == 0 {
		t.Errorf("no %s was logged", what)
	}
}

func token(r record) bool    { return r.Token }
func registry(r record) bool { return strings.HasPrefix(r.Target, "/v2/") && r.Server == "127.0.0.1" }
