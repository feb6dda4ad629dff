package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// buildkitd is a running daemon with the OCI worker; it needs root.
type buildkitd struct {
	address string
	// What buildctl needs to reach it.
	flags []string
}

// newBuildkitd starts a program of .tools/bin with this buildkitd.toml. Without flags it listens on a socket.
func newBuildkitd(t *testing.T, name, config string, environment []string, address string, flags ...string) *buildkitd {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "buildkitd needs root here")
	}
	program(t, "runc")
	directory := scratch(t)
	if address == "" {
		address = "unix://" + filepath.Join(directory, "buildkitd.sock")
	}
	config = `
[worker.oci]
  enabled = true
  snapshotter = "native"
  binary = "` + program(t, "runc") + `"
[worker.containerd]
  enabled = false
` + config
	arguments := append([]string{
		"--config", write(t, filepath.Join(directory, "buildkitd.toml"), config),
		"--root", filepath.Join(directory, "root"),
		"--addr", address,
	}, flags...)
	command := exec.Command(program(t, name), arguments...)
	command.Env = append([]string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin", "HOME=" + directory}, environment...)
	start(t, command, filepath.Join(directory, name+".log"))
	return &buildkitd{address: address}
}

// wait returns when the daemon answers.
func (b *buildkitd) wait(t *testing.T) {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		output, err := b.buildctl(t, nil, "debug", "workers")
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("buildkitd does not answer: %v: %s", err, output)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (b *buildkitd) buildctl(t *testing.T, environment []string, arguments ...string) (string, error) {
	t.Helper()
	arguments = append(append([]string{"--addr", b.address}, b.flags...), arguments...)
	return run(t, environment, program(t, "buildctl"), arguments...)
}

// registryTable is what buildkitd.toml says of the world's registry: the identity, as its users write it.
func registryTable(w *world) string {
	// BuildKit takes plain http for a loopback registry unless it is told otherwise.
	return fmt.Sprintf(`
[registry.%[1]q]
  http = false
  ca = [%[2]q]
  [[registry.%[1]q.keypair]]
    key = %[3]q
    cert = %[4]q
`, w.Registry, w.CA, w.Client.Key, w.Client.Cert)
}

// context makes a directory with a Dockerfile that takes the world's image and copies a file into it. Neither needs a
// process to run, so that the image may be empty.
func buildContext(t *testing.T, w *world) string {
	t.Helper()
	directory := t.TempDir()
	write(t, filepath.Join(directory, "Dockerfile"), fmt.Sprintf("FROM %s/%s:one\nCOPY hello /hello\n", w.Registry, w.Repository))
	write(t, filepath.Join(directory, "hello"), "hello\n")
	return directory
}

// build builds and pushes with the stock buildctl.
func (b *buildkitd) build(t *testing.T, w *world, flags ...string) (string, error) {
	t.Helper()
	directory := buildContext(t, w)
	environment := []string{
		"DOCKER_CONFIG=" + w.dockerConfig(t),
		// buildctl has no setting for the authorities of a token endpoint.
		"SSL_CERT_FILE=" + w.CA,
	}
	arguments := []string{"build", "--progress", "plain", "--frontend", "dockerfile.v0",
		"--local", "context=" + directory, "--local", "dockerfile=" + directory, "--opt", "platform=linux/amd64",
		"--output", "type=image,push=true,name=" + w.Registry + "/" + w.Repository + ":built"}
	return b.buildctl(t, environment, append(arguments, flags...)...)
}
