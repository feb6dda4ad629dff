package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is what a program gets for starting, answering or building: they are cold, and the machine may be busy.
const patience = 2 * time.Minute

// tools is where install.sh puts what it builds.
const tools = "../../.tools/bin"

// program finds one of .tools/bin or of PATH. Without it a test fails in CI and is skipped elsewhere.
func program(t *testing.T, name string) string {
	t.Helper()
	if file, err := filepath.Abs(filepath.Join(tools, name)); err == nil {
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	for _, directory := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin") {
		file := filepath.Join(directory, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			return file
		}
	}
	missing(t, name+" is missing: run tests/interop/install.sh")
	return ""
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip("SKIPPED: " + what)
}

// start runs a command in the background, with its output in a file, and ends it by its process id with the test.
func start(t *testing.T, command *exec.Cmd, log string) {
	t.Helper()
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	command.Stdout, command.Stderr = file, file
	// Also when the test's process is killed and runs no clean-up.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of %s:\n%s", filepath.Base(log), tail(log))
		}
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(20 * time.Second):
			_ = command.Process.Kill()
			<-ended
			t.Errorf("%s did not end within 20 s of SIGTERM", filepath.Base(command.Path))
		}
	})
}

// run runs a command to its end and returns what it wrote.
func run(t *testing.T, environment []string, name string, arguments ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	command := exec.CommandContext(ctx, name, arguments...)
	command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, environment...)
	output, err := command.CombinedOutput()
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return string(output), err
}

func tail(log string) string {
	text, _ := os.ReadFile(log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// scratch is a temporary directory with a short name, as the path of a Unix socket is limited to 107 bytes.
func scratch(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("", "interop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	return directory
}

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// examples builds the repository's Rust examples that are run here, as `make test` builds them: name to file.
var examples = sync.OnceValues(func() (map[string]string, error) {
	command := exec.Command("cargo", "build", "--quiet", "--workspace", "--features", "server,mint",
		"--example", "world", "--example", "mint", "--message-format", "json-render-diagnostics")
	command.Dir = "../.."
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: install Rust with rustup", command, err)
	}
	files := map[string]string{}
	for line := range bytes.Lines(output) {
		var message struct {
			Target     struct{ Name string }
			Executable string
		}
		if json.Unmarshal(line, &message) == nil && message.Executable != "" {
			files[message.Target.Name] = message.Executable
		}
	}
	return files, nil
})

func example(t *testing.T, name string) string {
	t.Helper()
	files, err := examples()
	if err != nil {
		missing(t, err.Error())
	}
	if files[name] == "" {
		t.Fatalf("cargo built no %s", name)
	}
	return files[name]
}
