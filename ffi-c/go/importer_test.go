package regauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pair is a self-signed certificate with its key: PEM.
func pair(t testing.TB, name string) (chain, key []byte, signer *ecdsa.PrivateKey) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: epoch.Add(-time.Hour), NotAfter: epoch.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &signer.PublicKey, signer)
	must(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(signer)
	must(t, err)
	block := func(kind string, bytes []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", secret), signer
}

func tree(t testing.TB, files map[string]string) string {
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(content), 0o600))
	}
	return root
}

// firstSend is what a new flow to this registry sends first.
func firstSend(t testing.TB, agent *Agent, url string) *Outgoing {
	flow, err := agent.Request("GET", url)
	must(t, err)
	defer flow.Close()
	step, err := flow.Poll(epoch)
	must(t, err)
	if step.Kind != StepSend {
		t.Fatalf("came %v %v", step.Kind, step.Err)
	}
	return step.Send
}

func TestFilesAreReadHereAndUnderstoodByTheCore(t *testing.T) {
	chain, key, _ := pair(t, "client")
	ca, _, _ := pair(t, "ca")
	root := tree(t, map[string]string{
		"certs.d/reg.example/client.cert": string(chain), "certs.d/reg.example/client.key": string(key),
		"certs.d/reg.example/ca.crt": string(ca), "certs.d/bad.example/ca.crt": "no certificate",
		"config.json":  `{"auths":{"reg.example":{"auth":"dTpw"}},"credHelpers":{"other.example":"pass"}}`,
		"regauth.toml": "[host.\"https://third.example\"]\nca = \"keys/ca.crt\"\n[registry.\"reg.example\"]\nmirrors = [\"https://mirror.example\"]\n",
		"keys/ca.crt":  string(ca),
	})
	at := func(name string) []string { return []string{filepath.Join(root, name)} }
	config, said, err := Importer{Now: epoch}.Import(
		Source{Format: Regauth, Paths: at("regauth.toml")}, Source{Format: DockerCerts, Paths: at("certs.d")},
		Source{Format: DockerConfig, Paths: at("config.json")}, Source{Format: AuthJSON, Paths: at("not-there.json")},
		Source{Format: Buildkitd, Paths: []string{root}})
	must(t, err)
	defer config.Close()
	for code, file := range map[string]string{"no-certificate": "certs.d/bad.example/ca.crt", "unreadable": ""} {
		if !slices.ContainsFunc(said, func(d Diagnostic) bool {
			return d.Code == code && d.File == filepath.Join(root, file) && d.What != "" && d.Remedy != "" && d.Severity == Severe
		}) {
			t.Errorf("no %s among %v", code, said)
		}
	}
	if slices.ContainsFunc(said, func(d Diagnostic) bool { return d.Code == "missing-file" }) {
		t.Errorf("the file that regauth.toml names was there: %v", said)
	}
	agent, err := NewAgent(config)
	must(t, err)
	defer agent.Close()

	send := firstSend(t, agent, "https://reg.example/v2/app/manifests/1")
	if !strings.HasSuffix(send.Identity, "client.cert") {
		t.Errorf("the identity is %q", send.Identity)
	}
	profile, err := agent.Profile(send.Profile)
	must(t, err)
	if len(profile.RootsPEM) != 1 || string(profile.RootsPEM[0]) != string(ca) || !profile.SystemRoots {
		t.Errorf("the roots are %q", profile.RootsPEM)
	}
	// The certificate is chosen by what the server says, and its key signs.
	evidence := new(Evidence)
	made, err := profile.TLSConfig(0, evidence)
	must(t, err)
	shown, err := made.GetClientCertificate(&tls.CertificateRequestInfo{Version: tls.VersionTLS13,
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}})
	must(t, err)
	if len(shown.Certificate) != 1 || shown.PrivateKey == nil || evidence.Shown != ShownPair || evidence.Pair != 1 || evidence.Lines[1] != "CN=client" {
		t.Errorf("shown %v, %+v", shown, evidence)
	}
	choice, err := profile.Choose(0, [][]byte{[]byte("another authority")}, []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256})
	must(t, err)
	if choice.Shown != ShownNoneFits || choice.Pair != 0 || len(choice.Lines) != 1 || !strings.Contains(choice.Lines[0], "CN=client") {
		t.Errorf("came %+v", choice)
	}

	image, err := ParseReference("reg.example/app:1")
	must(t, err)
	endpoints, err := agent.Endpoints(image, Pull)
	must(t, err)
	if len(endpoints) != 2 || !endpoints[0].Mirror || endpoints[0].Origin != "https://mirror.example" ||
		endpoints[1].URL("manifests/1") != "https://reg.example/v2/app/manifests/1" {
		t.Errorf("came %+v", endpoints)
	}
}

func TestIdentitiesThatCannotBeUsed(t *testing.T) {
	chain, key, signer := pair(t, "one")
	_, other, _ := pair(t, "two")
	for what, made := range map[string]func() (*Identity, error){
		"no certificate": func() (*Identity, error) { return NewIdentity("builder", nil, key) },
		"another's key":  func() (*Identity, error) { return NewIdentity("builder", chain, other) },
		"no key":         func() (*Identity, error) { return NewIdentity("builder", chain, chain) },
		"no chain": func() (*Identity, error) {
			return NewSignerIdentity("builder", nil, signer, tls.ECDSAWithP256AndSHA256)
		},
	} {
		_, err := made()
		var said *Error
		if !errors.As(err, &said) || said.Kind != ErrorIdentity || said.Fault != FaultLocal || said.Remedy == "" || !strings.Contains(said.What, "builder") {
			t.Errorf("%s: came %v", what, err)
		}
	}
	if _, err := NewSignerIdentity("builder", chain, signer); err != ErrInput {
		t.Errorf("no schemes: came %v", err)
	}
}

func TestASignersKeyStaysHere(t *testing.T) {
	chain, _, signer := pair(t, "token")
	identity, err := NewSignerIdentity("builder", chain, signer, tls.ECDSAWithP256AndSHA256)
	must(t, err)
	info, err := identity.Info()
	must(t, err)
	if info.Label != "builder" || info.Fingerprint == [32]byte{} || !info.NotAfter.Equal(epoch.Add(time.Hour)) || len(info.keyPEM) != 0 {
		t.Errorf("came %+v", info)
	}
	config, err := NewConfig()
	must(t, err)
	must(t, config.Host("https://reg.example", Host{Identities: []*Identity{identity}}))
	agent, err := NewAgent(config)
	must(t, err)
	identity.Close()
	config.Close()
	profile, err := agent.Profile(firstSend(t, agent, manifest).Profile)
	must(t, err)
	made, err := profile.TLSConfig(0, nil)
	must(t, err)
	shown, err := made.GetClientCertificate(&tls.CertificateRequestInfo{Version: tls.VersionTLS13,
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256}})
	must(t, err)
	if shown.PrivateKey != signer {
		t.Errorf("another key: %v", shown.PrivateKey)
	}
	// Rotation: connections from now on have the newest profile.
	next, err := NewConfig()
	must(t, err)
	must(t, agent.Replace(next))
	old := firstSend(t, agent, manifest).Profile
	if id, newest, err := agent.Newest(old); err != nil || len(newest.Labels) != 0 || id != old {
		t.Errorf("came %v, %v", newest, err)
	}
	must(t, next.Set(Option(1), true))
	if err := next.Set(Option(99), true); err != ErrInput {
		t.Errorf("came %v", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	credentials := Credentials{Kind: Basic, User: "u", Secret: "s3cret"}
	for _, text := range []string{credentials.String(), credentials.GoString()} {
		if strings.Contains(text, "s3cret") {
			t.Error(text)
		}
	}
	agent := warm(t)
	if text := firstSend(t, agent, manifest).GoString(); strings.Contains(text, "ttt") {
		t.Error(text)
	}
}
