package regauth_test

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	modulePath = "github.com/regauth/regauth/ffi-c/go"
	version    = "v0.1.0"
)

const program = `package main

import (
	"fmt"
	"time"

	regauth "` + modulePath + `"
)

func main() {
	now := time.Now()
	config, err := regauth.NewConfig()
	check(err)
	agent, err := regauth.NewAgent(config)
	check(err)
	const url = "https://reg.example/v2/app/manifests/1"
	flow, err := agent.Request("GET", url)
	check(err)
	challenge := regauth.Header{Name: "WWW-Authenticate", Value: "Bearer realm=\"https://reg.example/token\""}
	for _, answer := range []regauth.Answer{{Status: 401, Headers: []regauth.Header{challenge}},
		{Status: 200, Body: []byte("{\"token\":\"TOKEN\"}")}, {Status: 200}} {
		_, err := flow.Poll(now)
		check(err)
		check(flow.Answer(now, answer))
	}
	header, ok := agent.Authorize(nil, now, "GET", url)
	fmt.Println(regauth.Backend, string(header), ok)
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
`

// The module as a proxy serves it, got by an empty project, with no compiler of C or Rust in reach.
func TestAnEmptyProjectGetsTheModule(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: -short")
	}
	golang, err := exec.LookPath("go")
	if err != nil {
		t.Fatal("go is missing: install Go 1.25 or newer")
	}
	cache := strings.TrimSpace(run(t, ".", nil, golang, "env", "GOMODCACHE"))
	proxy := serve(t)
	project := t.TempDir()
	write(t, filepath.Join(project, "main.go"), program)
	// Nothing but go and what it needs to build; modules of others from what was downloaded for this test.
	environment := []string{
		"PATH=" + filepath.Dir(golang), "HOME=" + t.TempDir(), "GOPATH=" + t.TempDir(), "CGO_ENABLED=0", "GOFLAGS=-modcacherw -trimpath",
		"GOCACHE=" + strings.TrimSpace(run(t, ".", nil, golang, "env", "GOCACHE")),
		"GOPROXY=file://" + proxy + ",file://" + filepath.Join(cache, "cache/download"), "GOSUMDB=off", "GOTOOLCHAIN=local",
	}
	for _, name := range []string{"cargo", "rustc", "gcc", "cc"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(golang), name)); err == nil {
			t.Logf("%s stands beside go", name)
		}
	}
	run(t, project, environment, golang, "mod", "init", "example.com/empty")
	run(t, project, environment, golang, "get", modulePath+"@"+version)
	run(t, project, environment, golang, "build", "-o", "program", ".")
	if said := run(t, project, environment, "./program"); said != "wasm Bearer TOKEN true\n" {
		t.Errorf("it says %q", said)
	}
}

// serve writes this module as a module proxy has it, and gives the directory.
func serve(t *testing.T) string {
	proxy := t.TempDir()
	at := filepath.Join(proxy, modulePath, "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(at, version+".mod"), string(mod))
	write(t, filepath.Join(at, version+".info"), `{"Version":"`+version+`"}`)
	write(t, filepath.Join(at, "list"), version+"\n")
	file, err := os.Create(filepath.Join(at, version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	archive := zip.NewWriter(file)
	for _, path := range strings.Fields(run(t, ".", nil, "git", "ls-files")) {
		// A directory with a go.mod is another module.
		if first, _, below := strings.Cut(path, "/"); below {
			if _, err := os.Stat(filepath.Join(first, "go.mod")); err == nil {
				continue
			}
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		one, err := archive.Create(modulePath + "@" + version + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := one.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return proxy
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, directory string, environment []string, name string, arguments ...string) string {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Dir, command.Env = directory, environment
	var errors strings.Builder
	command.Stderr = &errors
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, arguments, err, output, errors.String())
	}
	return string(output)
}
