package server_test

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	regauth "github.com/regauth/regauth/ffi-c/go"
	"github.com/regauth/regauth/ffi-c/go/server"
)

const (
	service = "reg.example"
	push    = "/v2/builds/b-1/manifests/latest"
	scope   = "repository:builds/b-1:pull,push"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func made[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		must(t, err)
		return value
	}
}

func hour() regauth.Life { return regauth.Life{Now: time.Now(), TTL: time.Hour} }

// world is a registry behind a guard, with its token endpoint, on TLS; and an API of another service that trusts the same key.
type world struct {
	*httptest.Server
	t            *testing.T
	ca           *regauth.CA
	guard, other server.Guard
	token        server.Token

	mu sync.Mutex
	// seen is what came through to the registry, reasons what the guard said to all else.
	seen, reasons []string
}

// newWorld serves it. registry is nil for one that takes everything; prepare may change how it is served.
func newWorld(t *testing.T, registry http.Handler, prepare func(*world)) *world {
	w := &world{t: t, ca: made[*regauth.CA](t)(regauth.NewCA("builders", hour()))}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	url := "https://" + w.Listener.Addr().String()
	key := made[*regauth.SigningKey](t)(regauth.NewSigningKey(nil))
	keys := []regauth.TrustedKey{{PublicPEM: made[regauth.SigningKeyInfo](t)(key.Info()).PublicPEM}}
	guard := func(service string) *regauth.Guard {
		return made[*regauth.Guard](t)(regauth.NewGuard(regauth.GuardConfig{
			Realm: url + "/token", Service: service, Issuer: url, Keys: keys, RequireBound: true,
		}))
	}
	template := made[*regauth.Template](t)(regauth.NewTemplate("spiffe://example.org/build/{build}", "builder"))
	policy := made[*regauth.Policy](t)(regauth.NewPolicy("builder builds/{build} pull,push"))
	w.token.Authenticate = server.ByTemplate(template, policy)
	w.token.Issuer = made[*regauth.Issuer](t)(regauth.NewIssuer(regauth.IssuerConfig{
		Issuer: url, Services: []string{service}, Key: key, Bind: regauth.BindRequired,
		Reference: regauth.KeyRef{Kind: regauth.KeyRefThumbprint},
	}))
	if registry == nil {
		registry = http.HandlerFunc(w.registry)
	}
	w.guard = server.Guard{Guard: guard(service), Registry: registry, Decided: w.decided}
	w.other = server.Guard{Guard: guard("other.example"), Registry: registry, Decided: w.decided}

	identity := made[tls.Certificate](t)(made[*regauth.Issued](t)(w.ca.Server([]string{"127.0.0.1"}, hour())).TLS())
	base := &tls.Config{Certificates: []tls.Certificate{identity}}
	w.TLS = made[*tls.Config](t)(server.TLSConfig(base, made[*x509.CertPool](t)(w.ca.Pool()), tls.VerifyClientCertIfGiven))
	w.EnableHTTP2 = true
	w.Config.ErrorLog = log.New(io.Discard, "", 0)
	if prepare != nil {
		prepare(w)
	}
	w.StartTLS()
	t.Cleanup(w.Close)
	return w
}

// serve chooses as a program would, and leaves every path as it is.
func (w *world) serve(to http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/token":
		w.token.ServeHTTP(to, r)
	case r.Host == "other.example":
		w.other.ServeHTTP(to, r)
	default:
		w.guard.ServeHTTP(to, r)
	}
}

func (w *world) registry(to http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, fmt.Sprintf("%s %s by %s, %q", r.Method, r.RequestURI, server.Allowed(r.Context()).Subject, r.Header["Authorization"]))
	to.WriteHeader(http.StatusCreated)
}

func (w *world) decided(_ *http.Request, reply *regauth.Reply) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reasons = append(w.reasons, reply.Reason)
}

// reason is what the guard said last.
func (w *world) reason() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.reasons) == 0 {
		return ""
	}
	return w.reasons[len(w.reasons)-1]
}

// through is how many requests came through to the registry.
func (w *world) through() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

// builder is the certificate of one build, of this CA.
func builder(t testing.TB, ca *regauth.CA, build string) *tls.Certificate {
	pair := made[tls.Certificate](t)(made[*regauth.Issued](t)(ca.Client("builder", "spiffe://example.org/build/"+build, hour())).TLS())
	return &pair
}

// client shows this certificate to any server that asks, whatever CAs it names; nil: none.
func (w *world) client(certificate *tls.Certificate) *http.Client {
	config := &tls.Config{RootCAs: made[*x509.CertPool](w.t)(w.ca.Pool())}
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if certificate == nil {
			return new(tls.Certificate), nil
		}
		return certificate, nil
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// do sends one request, and gives the answer and its body.
func (w *world) do(client *http.Client, method, target string, fields ...string) (*http.Response, string) {
	w.t.Helper()
	request := made[*http.Request](w.t)(http.NewRequest(method, w.URL+target, nil))
	for i := 0; i+1 < len(fields); i += 2 {
		if request.Header.Add(fields[i], fields[i+1]); fields[i] == "Host" {
			request.Host = fields[i+1]
		}
	}
	answer := made[*http.Response](w.t)(client.Do(request))
	defer answer.Body.Close()
	return answer, string(made[[]byte](w.t)(io.ReadAll(answer.Body)))
}

// tokenFor is the value of Authorization that a client gets.
func (w *world) tokenFor(client *http.Client, scope string) string {
	w.t.Helper()
	answer, body := w.do(client, "GET", "/token?service="+service+"&scope="+scope)
	var said struct{ Token string }
	must(w.t, json.Unmarshal([]byte(body), &said))
	if answer.StatusCode != 200 || said.Token == "" || answer.Header.Get("Cache-Control") != "no-store" {
		w.t.Fatalf("came %s, %v", answer.Status, answer.Header)
	}
	return "Bearer " + said.Token
}

func TestARoundByCertificateAlone(t *testing.T) {
	w := newWorld(t, nil, nil)
	client := w.client(builder(t, w.ca, "b-1"))
	answer, body := w.do(client, "PUT", push)
	wanted := fmt.Sprintf(`Bearer realm="%s/token",service="%s",scope="%s"`, w.URL, service, scope)
	if answer.StatusCode != 401 || answer.Header.Get("WWW-Authenticate") != wanted || !strings.Contains(body, "UNAUTHORIZED") {
		t.Fatalf("came %s, %v, %s", answer.Status, answer.Header, body)
	}
	if answer.ProtoMajor != 2 {
		t.Errorf("it was no HTTP/2 but %s", answer.Proto)
	}
	token := w.tokenFor(client, scope)
	if answer, _ := w.do(client, "PUT", push, "Authorization", token); answer.StatusCode != 201 {
		t.Errorf("came %s, %s", answer.Status, w.reason())
	}
	if seen := fmt.Sprint(w.seen); seen != "[PUT "+push+" by spiffe://example.org/build/b-1, []]" {
		t.Errorf("the registry saw %s", seen)
	}
	// More than the policy gives is not in the token.
	if answer, _ := w.do(client, "DELETE", push, "Authorization", token); answer.StatusCode != 401 ||
		!strings.Contains(answer.Header.Get("WWW-Authenticate"), "insufficient_scope") {
		t.Errorf("came %s, %v", answer.Status, answer.Header)
	}
	if answer, body := w.do(client, "HEAD", push); answer.StatusCode != 401 || body != "" || answer.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("came %s, %v, %q", answer.Status, answer.Header, body)
	}
}

// failing is a signer whose key service does not answer.
type failing struct{ crypto.Signer }

func (failing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, fmt.Errorf("the key service does not answer")
}

func TestAKeyThatIsHeldElsewhere(t *testing.T) {
	w := newWorld(t, nil, nil)
	signers := [2]*ecdsa.PrivateKey{}
	var key *regauth.SigningKey
	for i := range signers {
		// Of 128 keys one has a coordinate that starts with zeros, which is refused.
		for err := error(fmt.Errorf("none")); err != nil; {
			signers[i] = made[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
			key, err = regauth.NewSigningKeyElsewhere(signers[i].Public())
		}
	}
	info := made[regauth.SigningKeyInfo](t)(key.Info())
	if len(info.PrivatePEM) != 0 || len(info.Thumbprint) != 43 {
		t.Errorf("came %v", info)
	}
	w.token.Issuer = made[*regauth.Issuer](t)(regauth.NewIssuer(regauth.IssuerConfig{
		Issuer: w.URL, Services: []string{service}, Key: key, Reference: regauth.KeyRef{Kind: regauth.KeyRefThumbprint},
		Bind: regauth.BindRequired,
	}))
	w.guard.Guard = made[*regauth.Guard](t)(regauth.NewGuard(regauth.GuardConfig{
		Realm: w.URL + "/token", Service: service, Issuer: w.URL, RequireBound: true,
		Keys: []regauth.TrustedKey{{PublicPEM: info.PublicPEM}},
	}))
	var why error
	var reason string
	w.token.Answered = func(_ *http.Request, reply *regauth.Reply, err error) { reason, why = reply.Reason, err }
	client := w.client(builder(t, w.ca, "b-1"))
	w.token.Signer = signers[1]
	token := w.tokenFor(client, scope)
	if answer, _ := w.do(client, "PUT", push, "Authorization", token); answer.StatusCode != 201 || w.through() != 1 {
		t.Errorf("came %s, %s", answer.Status, w.reason())
	}
	rows := []struct {
		signer crypto.Signer
		status int
		reason string
		failed bool
	}{
		{signer: signers[0], status: 500, reason: "signature-key"},
		{signer: nil, status: 500, reason: "key-elsewhere"},
		{signer: failing{signers[1]}, status: 503, reason: "later", failed: true},
	}
	for _, row := range rows {
		w.token.Signer = row.signer
		answer, body := w.do(client, "GET", "/token?service="+service+"&scope="+scope)
		if answer.StatusCode != row.status || reason != row.reason || (why != nil) != row.failed || strings.Contains(body, "token\":") {
			t.Errorf("%s: came %s, %s, %v, %s", row.reason, answer.Status, reason, why, body)
		}
	}
	// Who gets no token needs no signature.
	w.token.Signer = failing{signers[1]}
	if answer, _ := w.do(w.client(nil), "GET", "/token?service="+service+"&scope="+scope); answer.StatusCode != 401 || why != nil {
		t.Errorf("came %s, %v", answer.Status, why)
	}
	if _, err := regauth.NewSigningKeyElsewhere(made[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)).Public()); err == nil {
		t.Error("a key on another curve was taken")
	}
	if _, err := key.Certificate("tokens", hour()); err == nil {
		t.Error("a key that is elsewhere signed a certificate")
	}
}

func TestAStolenTokenIsWorthNothing(t *testing.T) {
	w := newWorld(t, nil, nil)
	token := w.tokenFor(w.client(builder(t, w.ca, "b-1")), scope)
	for name, certificate := range map[string]*tls.Certificate{
		"another certificate": builder(t, w.ca, "b-2"), "another of the same name": builder(t, w.ca, "b-1"), "none": nil,
	} {
		answer, _ := w.do(w.client(certificate), "PUT", push, "Authorization", token)
		if answer.StatusCode != 401 || w.reason() != "token-certificate" {
			t.Errorf("%s: came %s, %s", name, answer.Status, w.reason())
		}
	}
	if w.through() != 0 {
		t.Errorf("the registry saw %v", w.seen)
	}
}

func TestATokenOfOneAPIAtAnother(t *testing.T) {
	w := newWorld(t, nil, nil)
	client := w.client(builder(t, w.ca, "b-1"))
	token := w.tokenFor(client, scope)
	answer, _ := w.do(client, "PUT", push, "Authorization", token, "Host", "other.example")
	if answer.StatusCode != 401 || w.reason() != "token-audience" || w.through() != 0 {
		t.Errorf("came %s, %s", answer.Status, w.reason())
	}
}

func TestNoChallengeOutsideOfTheRegistry(t *testing.T) {
	w := newWorld(t, nil, nil)
	client := w.client(nil)
	for _, target := range []string{"/healthz", "/", "/metrics", "/v3/x"} {
		answer, _ := w.do(client, "GET", target)
		if answer.StatusCode != 404 || answer.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: came %s, %v", target, answer.Status, answer.Header)
		}
	}
	w.guard.Other = http.HandlerFunc(func(to http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(to, "good") })
	if answer, body := w.do(client, "GET", "/healthz"); answer.StatusCode != 200 || body != "good" {
		t.Errorf("came %s, %s", answer.Status, body)
	}
	if answer, _ := w.do(client, "GET", "/v2/"); answer.StatusCode != 401 {
		t.Errorf("came %s", answer.Status)
	}
}

// Who is known by nothing that counts gets no token, and no other way in.
func TestWhoGetsNoToken(t *testing.T) {
	w := newWorld(t, nil, nil)
	strange := made[tls.Certificate](t)(made[*regauth.Issued](t)(w.ca.Client("b-1", "spiffe://other.example/build/b-1", hour())).TLS())
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("b-1:secret"))
	rows := []struct {
		name        string
		certificate *tls.Certificate
		fields      []string
		status      int
	}{
		{"another trust domain", &strange, nil, 401},
		{"nobody, and tokens are bound here", nil, nil, 401},
		{"a password, which nobody has", builder(t, w.ca, "b-1"), []string{"Authorization", basic}, 401},
	}
	for _, row := range rows {
		answer, body := w.do(w.client(row.certificate), "GET", "/token?service="+service+"&scope="+scope, row.fields...)
		if answer.StatusCode != row.status || strings.Contains(body, "token\":") || strings.Contains(body, "secret") {
			t.Errorf("%s: came %s, %s", row.name, answer.Status, body)
		}
	}
	w.token.Authenticate = func(*http.Request, *regauth.Ask, *regauth.Peer) (*regauth.Subject, *regauth.Policy, error) {
		return nil, nil, fmt.Errorf("the directory does not answer")
	}
	var why error
	w.token.Answered = func(_ *http.Request, _ *regauth.Reply, err error) { why = err }
	answer, body := w.do(w.client(nil), "GET", "/token?service="+service)
	if answer.StatusCode != 503 || why == nil || strings.Contains(body, "directory") {
		t.Errorf("came %s, %v, %s", answer.Status, why, body)
	}
}

func TestATokenRequestIsBounded(t *testing.T) {
	w := newWorld(t, nil, nil)
	client := w.client(builder(t, w.ca, "b-1"))
	post := func(length int) int {
		form := "grant_type=password&service=" + service + "&username=u&password=" + strings.Repeat("x", length)
		answer := made[*http.Response](t)(client.Post(w.URL+"/token", "application/x-www-form-urlencoded", strings.NewReader(form)))
		answer.Body.Close()
		return answer.StatusCode
	}
	if short, long := post(10), post(10<<20); short != 401 || long < 400 || long >= 500 || long == 401 {
		t.Errorf("came %d for a short one, %d for a long one", short, long)
	}
	broken := httptest.NewRecorder()
	request := httptest.NewRequest("POST", "/token", iotest.ErrReader(io.ErrUnexpectedEOF))
	if w.token.ServeHTTP(broken, request); broken.Code != 400 {
		t.Errorf("came %d for one that broke off", broken.Code)
	}
}

// A certificate that nobody has verified is none, even where the program's own TLS merely asks for one.
func TestACertificateThatIsMerelyRequested(t *testing.T) {
	w := newWorld(t, nil, func(w *world) { w.TLS.ClientAuth, w.TLS.ClientCAs = tls.RequestClientCert, nil })
	forged := builder(t, made[*regauth.CA](t)(regauth.NewCA("builders", hour())), "b-1")
	answer, body := w.do(w.client(forged), "GET", "/token?service="+service+"&scope="+scope)
	if answer.StatusCode != 401 || strings.Contains(body, "token\":") {
		t.Errorf("came %s, %s", answer.Status, body)
	}
	verifying := newWorld(t, nil, nil)
	if _, err := verifying.client(forged).Get(verifying.URL + "/v2/"); err == nil {
		t.Error("the certificate of another CA was accepted")
	}
}

func TestTLSConfigVerifies(t *testing.T) {
	pool := made[*x509.CertPool](t)(made[*regauth.CA](t)(regauth.NewCA("builders", hour())).Pool())
	for _, auth := range []tls.ClientAuthType{tls.NoClientCert, tls.RequestClientCert, tls.RequireAnyClientCert, 99} {
		if _, err := server.TLSConfig(nil, pool, auth); err == nil {
			t.Errorf("%s: it was made", auth)
		}
	}
	for _, none := range []*x509.CertPool{nil, x509.NewCertPool()} {
		if _, err := server.TLSConfig(nil, none, tls.RequireAndVerifyClientCert); err == nil {
			t.Error("made without a CA")
		}
	}
	each := func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }
	if _, err := server.TLSConfig(&tls.Config{GetConfigForClient: each}, pool, tls.RequireAndVerifyClientCert); err == nil {
		t.Error("made with a function that replaces it")
	}
	base := &tls.Config{ClientAuth: tls.RequestClientCert}
	config := made[*tls.Config](t)(server.TLSConfig(base, pool, tls.RequireAndVerifyClientCert))
	if config.ClientAuth != tls.RequireAndVerifyClientCert || !config.ClientCAs.Equal(pool) || base.ClientAuth != tls.RequestClientCert {
		t.Error("it is another one")
	}
	w := newWorld(t, nil, func(w *world) { w.TLS.ClientAuth = tls.RequireAndVerifyClientCert })
	if _, err := w.client(nil).Get(w.URL + "/v2/"); err == nil {
		t.Error("no certificate was shown, and it was answered")
	}
}

// What a client can write into its request line and no library of its side would.
func TestTargetsThatAreNoRegistryRequest(t *testing.T) {
	w := newWorld(t, nil, nil)
	certificate := builder(t, w.ca, "b-1")
	token := w.tokenFor(w.client(certificate), scope)
	raw := func(target, fields string) int {
		config := &tls.Config{RootCAs: made[*x509.CertPool](t)(w.ca.Pool()), Certificates: []tls.Certificate{*certificate}}
		connection := made[*tls.Conn](t)(tls.Dial("tcp", w.Listener.Addr().String(), config))
		defer connection.Close()
		_, err := fmt.Fprintf(connection, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n%s\r\n", target, fields)
		must(t, err)
		answer := made[*http.Response](t)(http.ReadResponse(bufio.NewReader(connection), nil))
		defer answer.Body.Close()
		return answer.StatusCode
	}
	one := "Authorization: " + token + "\r\n"
	if status := raw(push, one); status != 201 || w.through() != 1 {
		t.Fatalf("came %d, %s", status, w.reason())
	}
	for _, target := range []string{
		"https://127.0.0.1" + push, "/v2/builds/b-2/../b-1/manifests/latest", "//v2/builds/b-1/manifests/latest",
		"/v2/builds%2fb-1/manifests/latest", "/V2/builds/b-1/manifests/latest", "/v2/builds/b-1/manifests/latest/",
		"/v2/builds/b-1/manifests/latest#x", "/v2/builds/b-\xff/manifests/latest", "/v2;x/builds/b-1/manifests/latest",
	} {
		if status := raw(target, one); status < 400 || status >= 500 {
			t.Errorf("%s: came %d", target, status)
		}
	}
	for _, fields := range []string{one + one, "Authorization: \xff\r\n", "Authorization: Basic x\r\n" + one} {
		if status := raw(push, fields); status != 400 && status != 401 {
			t.Errorf("%q: came %d", fields[:22], status)
		}
	}
	if w.through() != 1 {
		t.Errorf("the registry saw %v", w.seen)
	}
	// A handler outside of the guard that changes the path.
	changed := httptest.NewRecorder()
	request := httptest.NewRequest("PUT", push, nil)
	request.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{certificate.Leaf}}}
	request.Header.Set("Authorization", token)
	request.URL.Path = "/v2/builds/b-2/manifests/latest"
	if w.guard.ServeHTTP(changed, request); changed.Code != 400 || w.through() != 1 {
		t.Errorf("came %d, and the registry saw %v", changed.Code, w.seen)
	}
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, nil, nil)
	var all sync.WaitGroup
	for i := range 8 {
		client := w.client(builder(t, w.ca, fmt.Sprint("b-", i)))
		all.Go(func() {
			mine, theirs := fmt.Sprintf("builds/b-%d", i), fmt.Sprintf("builds/b-%d", i+1)
			token := w.tokenFor(client, "repository:"+mine+":pull,push")
			for range 5 {
				if answer, _ := w.do(client, "PUT", "/v2/"+mine+"/manifests/x", "Authorization", token); answer.StatusCode != 201 {
					t.Errorf("%s: came %s", mine, answer.Status)
				}
				if answer, _ := w.do(client, "PUT", "/v2/"+theirs+"/manifests/x", "Authorization", token); answer.StatusCode != 401 {
					t.Errorf("%s: came %s", theirs, answer.Status)
				}
			}
		})
	}
	all.Wait()
	if w.through() != 40 {
		t.Errorf("%d came through", w.through())
	}
}
