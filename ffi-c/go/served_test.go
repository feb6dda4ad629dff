package regauth

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/regauth/regauth/ffi-c/go/internal/heap"
)

func fixed(first byte) *[32]byte {
	entropy := [32]byte(bytes.Repeat([]byte{7}, 32))
	entropy[0] = first
	return &entropy
}

func made[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		must(t, err)
		return value
	}
}

func hour(first byte) Life { return Life{Now: epoch, TTL: time.Hour, Entropy: fixed(first)} }

// accepted is what crypto/x509 says to a certificate of a CA.
func accepted(ca *CA, issued *Issued, at time.Time, name string, usage x509.ExtKeyUsage) error {
	pool, err := ca.Pool()
	if err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(issued.CertificateDER)
	if err != nil {
		return err
	}
	_, err = leaf.Verify(x509.VerifyOptions{
		Roots: pool, CurrentTime: at, DNSName: name, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}

func TestX509AcceptsWhatIsMinted(t *testing.T) {
	ca := made[*CA](t)(NewCA("builders", hour(1)))
	defer ca.Close()
	server := made[*Issued](t)(ca.Server([]string{"reg.example", "127.0.0.1", "::1"}, hour(2)))
	client := made[*Issued](t)(ca.Client("b-1", "spiffe://example.org/build/b-1", hour(3)))
	elsewhere := made[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	device := made[*Issued](t)(ca.ClientFor(elsewhere.Public(), "b-2", "", hour(4)))
	if device.KeyPEM != nil {
		t.Error("a key that is elsewhere came back")
	}
	rows := []struct {
		issued *Issued
		at     time.Time
		name   string
		usage  x509.ExtKeyUsage
		good   bool
	}{
		{server, epoch, "reg.example", x509.ExtKeyUsageServerAuth, true},
		{server, epoch, "127.0.0.1", x509.ExtKeyUsageServerAuth, true},
		{server, epoch, "::1", x509.ExtKeyUsageServerAuth, true},
		{server, epoch, "other.example", x509.ExtKeyUsageServerAuth, false},
		{server, epoch, "", x509.ExtKeyUsageClientAuth, false},
		{client, epoch, "", x509.ExtKeyUsageClientAuth, true},
		{client, epoch.Add(-4 * time.Minute), "", x509.ExtKeyUsageClientAuth, true},
		{client, epoch.Add(2 * time.Hour), "", x509.ExtKeyUsageClientAuth, false},
		{client, epoch, "", x509.ExtKeyUsageServerAuth, false},
		{device, epoch, "", x509.ExtKeyUsageClientAuth, true},
	}
	for i, row := range rows {
		if err := accepted(ca, row.issued, row.at, row.name, row.usage); (err == nil) != row.good {
			t.Errorf("row %d: came %v", i, err)
		}
	}
	leaf := made[*x509.Certificate](t)(x509.ParseCertificate(client.CertificateDER))
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != "spiffe://example.org/build/b-1" || leaf.Subject.CommonName != "b-1" {
		t.Errorf("came %v, %v", leaf.URIs, leaf.Subject)
	}
	if pair, err := client.TLS(); err != nil || len(pair.Certificate) != 1 {
		t.Errorf("came %v", err)
	}
	if _, err := device.TLS(); err == nil {
		t.Error("a pair without a key")
	}
	other := made[*CA](t)(NewCA("builders", hour(5)))
	if accepted(other, client, epoch, "", x509.ExtKeyUsageClientAuth) == nil {
		t.Error("accepted by another CA of the same name")
	}
}

// The same entropy, the same bytes; none, other ones each time.
func TestEntropyGivesTheSameAgain(t *testing.T) {
	mint := func(life Life) string {
		ca := made[*CA](t)(NewCA("builders", life))
		defer ca.Close()
		client := made[*Issued](t)(ca.Client("b-1", "", life))
		return string(client.CertificatePEM) + string(client.KeyPEM)
	}
	if mint(hour(1)) != mint(hour(1)) || mint(hour(1)) == mint(hour(2)) {
		t.Error("it does not depend on the entropy alone")
	}
	fresh := Life{Now: epoch, TTL: time.Hour}
	if mint(fresh) == mint(fresh) {
		t.Error("two CAs are the same")
	}
	key, same := made[*SigningKey](t)(NewSigningKey(fixed(1))), made[*SigningKey](t)(NewSigningKey(fixed(1)))
	one, two := made[SigningKeyInfo](t)(key.Info()), made[SigningKeyInfo](t)(same.Info())
	again := made[*SigningKey](t)(ParseSigningKey(one.PrivatePEM))
	if three := made[SigningKeyInfo](t)(again.Info()); one.Thumbprint != two.Thumbprint || one.Thumbprint != three.Thumbprint {
		t.Error("they are not the same key")
	}
	if made[SigningKeyInfo](t)(made[*SigningKey](t)(NewSigningKey(nil)).Info()).Thumbprint == one.Thumbprint {
		t.Error("a fresh key is the same")
	}
}

func TestKeysOfTokens(t *testing.T) {
	key := made[*SigningKey](t)(NewSigningKey(fixed(1)))
	var set struct{ Keys []map[string]any }
	must(t, json.Unmarshal(made[[]byte](t)(key.JWKS(KeyRef{Kind: KeyRefKeyID, KeyID: "key-1"})), &set))
	if len(set.Keys) != 1 || set.Keys[0]["kid"] != "key-1" || set.Keys[0]["d"] != nil {
		t.Errorf("came %v", set)
	}
	if _, err := key.JWKS(KeyRef{Kind: 9}); err != ErrInput {
		t.Errorf("came %v", err)
	}
	der := made[[]byte](t)(key.Certificate("tokens", hour(2)))
	certificate := made[*x509.Certificate](t)(x509.ParseCertificate(der))
	public := made[SigningKeyInfo](t)(key.Info()).PublicPEM
	if !bytes.Contains(public, []byte("BEGIN PUBLIC KEY")) || certificate.Subject.CommonName != "tokens" {
		t.Errorf("came %s, %v", public, certificate.Subject)
	}
	config := IssuerConfig{
		Issuer: "iss", Services: []string{"reg"}, Key: key, Reference: KeyRef{Kind: KeyRefX5C, Chain: [][]byte{der}},
	}
	made[*Issuer](t)(NewIssuer(config)).Close()
	config.Key = made[*SigningKey](t)(NewSigningKey(fixed(3)))
	var said *Error
	if _, err := NewIssuer(config); !errors.As(err, &said) || said.Kind != ErrorSetup || !strings.Contains(said.What, "x5c") || said.Remedy == "" {
		t.Errorf("the chain of another key: came %v", err)
	}
	config.Key = nil
	if _, err := NewIssuer(config); err != ErrInput {
		t.Errorf("no key: came %v", err)
	}
}

func TestFilesOfABuildkitd(t *testing.T) {
	bundle := made[*Bundle](t)(NewBuildkitdBundle([]string{"builder.example", "127.0.0.1"}, "spiffe://example.org/b/1", hour(1)))
	defer bundle.Close()
	commands := made[[]Command](t)(bundle.Commands("/run/pki", 1234))
	if len(bundle.Files) != 7 || len(commands) != 4 || !strings.Contains(commands[1].Line, "tcp://builder.example:1234") {
		t.Errorf("came %v, %v", bundle.Files, commands)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", bundle.Files, bundle.Files[6], *bundle), "PRIVATE") {
		t.Error("a key was printed")
	}
	var said *Error
	_, err := NewBuildkitdBundle([]string{"builder.example"}, "", Life{Now: epoch, TTL: 25 * time.Hour})
	if !errors.As(err, &said) || said.Kind != ErrorSetup {
		t.Errorf("longer than a day: came %v", err)
	}
}

// trust makes guard, issuer and policy for builders, and the certificates of two of them.
func trust(t testing.TB) (guard *Guard, issuer *Issuer, policy *Policy, template *Template, peers [2]*Peer) {
	ca := made[*CA](t)(NewCA("builders", hour(1)))
	for i := range peers {
		id := fmt.Sprintf("spiffe://example.org/build/b-%d", i)
		issued := made[*Issued](t)(ca.Client("builder", id, hour(byte(2+i))))
		peers[i] = made[*Peer](t)(NewPeerDER(issued.CertificateDER, PeerTLS))
	}
	key := made[*SigningKey](t)(NewSigningKey(fixed(9)))
	defer key.Close()
	public := made[SigningKeyInfo](t)(key.Info()).PublicPEM
	guard = made[*Guard](t)(NewGuard(GuardConfig{
		Realm: "https://reg.example/token", Service: "reg.example", Issuer: "https://reg.example",
		Keys: []TrustedKey{{PublicPEM: public}}, RequireBound: true,
	}))
	issuer = made[*Issuer](t)(NewIssuer(IssuerConfig{
		Issuer: "https://reg.example", Services: []string{"reg.example"}, Key: key,
		Reference: KeyRef{Kind: KeyRefThumbprint}, Bind: BindRequired,
	}))
	policy = made[*Policy](t)(NewPolicy("builder builds/{build} pull,push"))
	template = made[*Template](t)(NewTemplate("spiffe://example.org/build/{build}", "builder"))
	return guard, issuer, policy, template, peers
}

// tokenOf is the value of Authorization that a peer gets, for what it asks.
func tokenOf(t testing.TB, issuer *Issuer, policy *Policy, template *Template, peer *Peer, scope string) string {
	ask, refused, err := issuer.Read(Call{Method: "GET", Target: "/token?service=reg.example&scope=" + scope, Peer: peer})
	if err != nil || refused != nil || !ask.HasPeer || ask.Credential != CredentialNone || ask.Scopes != scope {
		t.Fatalf("came %v, %v, %v", ask, refused, err)
	}
	defer ask.Close()
	subject := made[*Subject](t)(template.Subject(peer))
	defer subject.Close()
	reply := made[*Reply](t)(issuer.Issue(ask, subject, policy, epoch, &[16]byte{1}))
	var body struct{ Token string }
	must(t, json.Unmarshal(reply.Body, &body))
	if reply.Status != 200 || reply.Reason != "issued" || body.Token == "" {
		t.Fatalf("came %v", reply)
	}
	if printed := fmt.Sprintf("%v %+v %#v", reply, *reply, reply); strings.Contains(printed, body.Token) {
		t.Error("a token was printed")
	}
	return "Bearer " + body.Token
}

func TestGuardGivesWhatTheTokenNames(t *testing.T) {
	guard, issuer, policy, template, peers := trust(t)
	const push = "/v2/builds/b-0/manifests/latest"
	token := tokenOf(t, issuer, policy, template, peers[0], "repository:builds/b-0:pull,push")
	rows := []struct {
		method, target, token string
		peer                  *Peer
		after                 time.Duration
		verdict               Verdict
		reason                string
	}{
		{"PUT", push, "", peers[0], 0, VerdictSend, "no-token"},
		{"PUT", push, token, peers[0], 0, VerdictAllow, ""},
		{"PUT", push, token, peers[1], 0, VerdictSend, "token-certificate"},
		{"PUT", push, token, nil, 0, VerdictSend, "token-certificate"},
		{"PUT", push, token, peers[0], 400 * time.Second, VerdictSend, "token-expired"},
		{"PUT", "/v2/builds/b-1/manifests/latest", token, peers[0], 0, VerdictSend, "scope"},
		{"DELETE", push, token, peers[0], 0, VerdictSend, "scope"},
		{"GET", "/healthz", token, peers[0], 0, VerdictNotRegistry, ""},
	}
	for i, row := range rows {
		call := Call{Method: row.method, Target: row.target, Peer: row.peer}
		if row.token != "" {
			call.Authorization = []string{row.token}
		}
		reply := made[*Reply](t)(guard.Check(call, epoch.Add(row.after)))
		if reply.Verdict != row.verdict || reply.Reason != row.reason {
			t.Errorf("row %d: came %v", i, reply)
		}
		if reply.Verdict == VerdictAllow && (reply.Subject != "spiffe://example.org/build/b-0" || !reply.Bound ||
			!reply.IssuedAt.Equal(epoch) || reply.TokenID == "" || reply.Needed != "repository:builds/b-0:pull,push") {
			t.Errorf("row %d: came %+v", i, reply)
		}
	}
	subject := made[*Subject](t)(NewSubject("b-0"))
	must(t, subject.Role("builder"))
	must(t, subject.Bind("build", "b-0"))
	must(t, subject.Until(epoch.Add(time.Hour)))
	for _, bad := range []error{
		subject.Bind("build", "b-1"), subject.Bind("other", "../b-1"), subject.Role("anonymous"),
	} {
		if bad != ErrInput {
			t.Errorf("came %v", bad)
		}
	}
	for target, wanted := range map[string]Verdict{"/v2/builds/b-0/blobs/uploads/": VerdictAllow, "/v2/builds/b-1/blobs/uploads/": VerdictSend} {
		reply := made[*Reply](t)(guard.CheckDirect(Call{Method: "POST", Target: target}, subject, policy))
		if reply.Verdict != wanted {
			t.Errorf("%s: came %v", target, reply)
		}
	}
}

func TestATokenRequestGivesARefusal(t *testing.T) {
	_, issuer, _, _, _ := trust(t)
	for target, reason := range map[string]string{"/token?service=other": "service", "/token?service=reg.example&password=x": "parameter"} {
		if ask, refused, err := issuer.Read(Call{Method: "GET", Target: target}); ask != nil || err != nil || refused.Reason != reason || refused.Status != 400 {
			t.Errorf("%s: came %v, %v", target, refused, err)
		}
	}
	// user:s3cr3t
	call := Call{Method: "GET", Target: "/token?scope=repository:library/a:pull", Authorization: []string{"Basic dXNlcjpzM2NyM3Q="}}
	ask, _, err := issuer.Read(call)
	must(t, err)
	if ask.Credential != CredentialBasic || ask.User != "user" || ask.Secret != "s3cr3t" {
		t.Errorf("came %v", ask)
	}
	if printed := fmt.Sprintf("%v %+v %#v %v %#v", ask, ask, ask, call, call); strings.Contains(printed, "s3cr3t") || strings.Contains(printed, "dXNl") {
		t.Errorf("a secret was printed: %s", printed)
	}
	if reply := made[*Reply](t)(issuer.Refuse(ask, RefuseTooMany, 7*time.Second)); reply.Status != 429 {
		t.Errorf("came %v", reply)
	}
	if _, err := issuer.Refuse(ask, 9, 0); err != ErrInput {
		t.Errorf("came %v", err)
	}
	subject := made[*Subject](t)(NewSubject("user"))
	if reply := made[*Reply](t)(issuer.IssueScopes(ask, subject, []string{"repository:library/a:pull"}, epoch, nil)); reply.Reason != "token-unbound" {
		t.Errorf("came %v", reply)
	}
	if _, err := issuer.IssueScopes(ask, subject, []string{""}, epoch, nil); err != ErrInput {
		t.Errorf("came %v", err)
	}
}

func TestServedThingsThatAreClosedOrNothing(t *testing.T) {
	guard, issuer, policy, template, peers := trust(t)
	if _, err := issuer.Issue(nil, nil, nil, epoch, nil); err != ErrInput {
		t.Errorf("came %v", err)
	}
	if _, err := guard.CheckDirect(Call{}, nil, policy); err != ErrInput {
		t.Errorf("came %v", err)
	}
	if _, err := template.Subject(nil); err != ErrNoSubject {
		t.Errorf("came %v", err)
	}
	if peer, err := PeerOf(nil); peer != nil || err != nil {
		t.Errorf("came %v", err)
	}
	proxied := made[*Peer](t)(NewPeerSHA256([32]byte{4}))
	if info := made[PeerInfo](t)(proxied.Info()); info.SHA256 != [32]byte{4} || info.SPIFFE != "" || !info.NotAfter.IsZero() {
		t.Errorf("came %+v", info)
	}
	if _, err := template.Subject(proxied); err != ErrNoSubject {
		t.Errorf("came %v", err)
	}
	var said *Error
	if _, err := NewPolicy("a b pull\nanonymous x push"); !errors.As(err, &said) || !strings.Contains(said.What, "line 2") {
		t.Errorf("came %v", err)
	}
	if _, err := NewPeerDER([]byte("no certificate"), PeerTLS); !errors.As(err, &said) {
		t.Errorf("came %v", err)
	}
	// No UTF-8, and all the same a decision.
	if reply := made[*Reply](t)(guard.Check(Call{Method: "GET", Target: "/v2/\xff/manifests/1", Authorization: []string{"\xff"}}, epoch)); reply.Verdict == VerdictAllow {
		t.Errorf("came %v", reply)
	}
	peers[0].Close()
	peers[0].Close()
	if _, err := guard.Check(Call{Method: "GET", Target: "/v2/", Peer: peers[0]}, epoch); err != ErrClosed {
		t.Errorf("came %v", err)
	}
	guard.Close()
	if _, err := guard.Check(Call{Method: "GET", Target: "/v2/"}, epoch); err != ErrClosed {
		t.Errorf("came %v", err)
	}
}

// What nobody closes is freed when it was collected; what a call gives is freed at once.
func TestSoakOfTheServerHalf(t *testing.T) {
	guard, issuer, policy, template, peers := trust(t)
	der := made[*Issued](t)(made[*CA](t)(NewCA("builders", hour(1))).Client("b", "spiffe://example.org/build/b-0", hour(2))).CertificateDER
	token := tokenOf(t, issuer, policy, template, peers[0], "repository:builds/b-0:pull")
	var core, garbage uint64
	for number := range 400 {
		if number == 100 {
			core, garbage = live(t, serverHost)
		}
		peer := made[*Peer](t)(NewPeerDER(der, PeerTLS))
		if number%2 == 0 {
			peer.Close()
			peer = peers[0]
		}
		made[*Reply](t)(guard.Check(Call{Method: "GET", Target: "/v2/builds/b-0/tags/list", Authorization: []string{token}, Peer: peer}, epoch))
		tokenOf(t, issuer, policy, template, peer, "repository:builds/b-0:pull")
		if number%50 == 49 {
			runtime.GC()
		}
	}
	coreAfter, garbageAfter := live(t, serverHost)
	t.Logf("%s: core %d bytes after 100 and %+d after 400, Go %d and %+d", Backend, core, int64(coreAfter-core), garbage, int64(garbageAfter-garbage))
	if coreAfter > core+heap.Slack {
		t.Error("the core's memory grows")
	}
	if garbageAfter > garbage+256<<10 {
		t.Error("Go's heap grows")
	}
}

func BenchmarkGuard(b *testing.B) {
	guard, issuer, policy, template, peers := trust(b)
	token := tokenOf(b, issuer, policy, template, peers[0], "repository:builds/b-0:pull,push")
	call := Call{Method: "PUT", Target: "/v2/builds/b-0/manifests/latest", Authorization: []string{token}, Peer: peers[0]}
	b.ReportAllocs()
	for b.Loop() {
		if reply, err := guard.Check(call, epoch); err != nil || reply.Verdict != VerdictAllow {
			b.Fatal(reply, err)
		}
	}
}
