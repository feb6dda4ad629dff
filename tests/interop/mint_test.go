package interop

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A mint writes the certificates of a buildkitd on 127.0.0.1 and of its clients.
type mint func(t *testing.T, directory string) (output string, err error)

// mints are the programs of this repository that do so.
var mints = map[string]mint{
	"the example": func(t *testing.T, directory string) (string, error) {
		return run(t, nil, example(t, "mint"), "buildkitd", "--ip", "127.0.0.1", "--ttl", "1h", "-o", directory)
	},
	"the npm package's example": func(t *testing.T, directory string) (string, error) {
		const js = "../../bindings-wasm/js"
		if _, err := os.Stat(js + "/dist/mint.mjs"); err != nil {
			missing(t, "the npm package is not built: run bindings-wasm/js/build.sh")
		}
		script, err := os.Open(js + "/examples/mint.ts")
		if err != nil {
			t.Fatal(err)
		}
		defer script.Close()
		// It has no types that would have to be taken out. From standard input, its imports are looked up from there.
		command := exec.Command(program(t, "node"), "--input-type=module", "-", directory, "127.0.0.1")
		command.Dir, command.Stdin = js, script
		output, err := command.CombinedOutput()
		return string(output), err
	},
}

// minted returns a directory of what a mint has written.
func minted(t *testing.T, by mint) string {
	t.Helper()
	directory := filepath.Join(t.TempDir(), "minted")
	if output, err := by(t, directory); err != nil {
		t.Fatalf("mint: %v: %s", err, output)
	}
	return directory
}

// A buildkitd on TCP lets in who has a client's certificate of its CA, and nobody else.
func TestMintedBuildkitd(t *testing.T) {
	for name, by := range mints {
		t.Run(name, func(t *testing.T) { mintedBuildkitd(t, by) })
	}
}

func mintedBuildkitd(t *testing.T, by mint) {
	files := minted(t, by)
	file := func(name string) string { return filepath.Join(files, name) }
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "tcp://" + listener.Addr().String()
	listener.Close()
	daemon := newBuildkitd(t, "buildkitd", "", nil, address,
		"--tlscacert", file("ca.pem"), "--tlscert", file("server.pem"), "--tlskey", file("server.key"))
	daemon.flags = []string{"--tlscacert", file("ca.pem"), "--tlscert", file("client.pem"), "--tlskey", file("client.key")}
	daemon.wait(t)

	other := minted(t, by)
	for _, trial := range []struct {
		what      string
		directory string
		name      string
		// The alert that refuses it; empty where there is none.
		alert string
	}{
		{"the client's", files, "client", ""},
		{"the health check's", files, "health-check", ""},
		{"none", files, "", "certificate required"},
		{"the server's", files, "server", "bad certificate"},
		{"a client's of another CA", other, "client", "unknown certificate authority"},
	} {
		t.Run(trial.what, func(t *testing.T) {
			flags := []string{"--timeout", "10", "--tlscacert", file("ca.pem")}
			config := &tls.Config{RootCAs: pool(t, file("ca.pem")), NextProtos: []string{"h2"}}
			if trial.name != "" {
				cert := filepath.Join(trial.directory, trial.name+".pem")
				key := filepath.Join(trial.directory, trial.name+".key")
				flags = append(flags, "--tlscert", cert, "--tlskey", key)
				pair, err := tls.LoadX509KeyPair(cert, key)
				if err != nil {
					t.Fatal(err)
				}
				// Also where the server names other authorities.
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			}
			output, err := (&buildkitd{address: address, flags: flags}).buildctl(t, nil, "debug", "workers")
			t.Logf("buildctl: %v: %s", err, strings.TrimSpace(output))
			if (err == nil) != (trial.alert == "") {
				t.Errorf("let in or refused wrongly: %v", err)
			}
			// buildctl may find its connection reset before it reads the alert; who only reads gets it each time.
			if got := alert(t, listener.Addr().String(), config); !strings.Contains(got, trial.alert) || (got == "") != (trial.alert == "") {
				t.Errorf("the server says %q and not %q", got, trial.alert)
			}
		})
	}
}

// alert is what a TLS server says to a client that writes nothing: an alert, or nothing.
func alert(t *testing.T, address string, config *tls.Config) string {
	t.Helper()
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err.Error()
	}
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
	// A server of HTTP/2 begins with its settings.
	if _, err = connection.Read(make([]byte, 1)); err != nil {
		return err.Error()
	}
	return ""
}

func pool(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatalf("no certificate in %s", file)
	}
	return roots
}

// What reads certificates by the letter accepts those that are minted, each for what it is for and for nothing else.
func TestMintedChain(t *testing.T) {
	for name, by := range mints {
		t.Run(name, func(t *testing.T) { mintedChain(t, by) })
	}
}

func mintedChain(t *testing.T, by mint) {
	files := minted(t, by)
	parse := func(name string) *x509.Certificate {
		text, err := os.ReadFile(filepath.Join(files, name+".pem"))
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		return certificate
	}
	roots := pool(t, filepath.Join(files, "ca.pem"))
	openssl := program(t, "openssl")
	for _, leaf := range []struct {
		name           string
		server, client bool
	}{{"server", true, false}, {"client", false, true}, {"health-check", false, true}} {
		for _, use := range []struct {
			purpose string
			usage   x509.ExtKeyUsage
			want    bool
		}{{"sslserver", x509.ExtKeyUsageServerAuth, leaf.server}, {"sslclient", x509.ExtKeyUsageClientAuth, leaf.client}} {
			t.Run(leaf.name+" as "+use.purpose, func(t *testing.T) {
				certificate := parse(leaf.name)
				_, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{use.usage}})
				if (err == nil) != use.want {
					t.Errorf("crypto/x509: %v", err)
				}
				output, err := run(t, nil, openssl, "verify", "-x509_strict", "-purpose", use.purpose,
					"-CAfile", filepath.Join(files, "ca.pem"), filepath.Join(files, leaf.name+".pem"))
				if (err == nil) != use.want {
					t.Errorf("openssl: %v: %s", err, output)
				}
			})
		}
	}
	if err := parse("server").VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
}
