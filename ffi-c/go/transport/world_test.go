package transport

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// A world is nginx in front of distribution v3, all on loopback: the registry on 127.0.0.1, which requires a client
// certificate, the token service there or on 127.0.0.2, blobs there or redirected to 127.0.0.3. nginx's log says what each
// request showed.
type world struct {
	t              testing.TB
	dir            string
	port           int
	barrier        string
	ca             []byte
	client         *authority
	identity       *regauth.Identity
	tokens         atomic.Int64
	registry, auth string
	direct         string
	key            *ecdsa.PrivateKey
	chain          []string
	logged         int
}

type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func certificate(t testing.TB, by *authority, name string, usage x509.ExtKeyUsage) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: by == nil, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if by == nil {
		template.KeyUsage |= x509.KeyUsageCertSign
		by = &authority{key: key, cert: template}
	} else {
		template.ExtKeyUsage = []x509.ExtKeyUsage{usage}
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 2), net.IPv4(127, 0, 0, 3)}
		template.DNSNames = []string{"reg.test", "storage.test", "metadata.test"}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &authority{key, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (a *authority) keyPEM(t testing.TB) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(a.key)
	must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (w *world) file(name string, content []byte) string {
	path := filepath.Join(w.dir, name)
	must(w.t, os.WriteFile(path, content, 0o600))
	return path
}

// program finds one: .tools/bin of this repository, PATH, and /usr/sbin, which a user's PATH may lack.
func program(t testing.TB, name string) string {
	for _, directory := range append([]string{"../../../.tools/bin"}, append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin")...) {
		if path, err := filepath.Abs(filepath.Join(directory, name)); err == nil {
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				return path
			}
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: run tests/servers/install.sh", name)
	}
	t.Skipf("SKIPPED: %s is missing: run tests/servers/install.sh", name)
	return ""
}

func (w *world) run(log string, address string, name string, arguments ...string) {
	output, err := os.Create(filepath.Join(w.dir, log))
	must(w.t, err)
	command := exec.Command(name, arguments...)
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "OTEL_TRACES_EXPORTER=none"}
	command.Stdout, command.Stderr = output, output
	must(w.t, command.Start())
	w.t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		output.Close()
	})
	for range 800 {
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			conn.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	text, _ := os.ReadFile(filepath.Join(w.dir, log))
	w.t.Fatalf("%s does not listen on %s:\n%s", name, address, text)
}

// given are the ports of this run: one that nobody listens on yet is not given a second time.
var given sync.Map

// free is a port that is free on these addresses now.
func free(t testing.TB, hosts ...string) int {
	for range 100 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		port := first.Addr().(*net.TCPAddr).Port
		first.Close()
		good := true
		for _, host := range hosts {
			listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port))
			if good = good && err == nil; err == nil {
				listener.Close()
			}
		}
		if _, taken := given.LoadOrStore(port, nil); good && !taken {
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

const nginxConf = `daemon off; master_process off; pid nginx.pid; error_log stderr info;
events { worker_connections 512; }
http {
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  map $http_authorization $authz { default other; "" "-"; "~*^basic " Basic; "~*^bearer " Bearer; }
  log_format hop '$server_addr "$request" $status dn="$ssl_client_s_dn" authz=$authz conn=$connection reused=$ssl_session_reused';
  access_log access.log hop;
  keepalive_timeout 60s; keepalive_requests 100000; client_max_body_size 0;
  http2_max_concurrent_streams 256;
  ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:tls:1m;
  ssl_certificate server.crt; ssl_certificate_key server.key; ssl_client_certificate ca.crt;
  proxy_http_version 1.1; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https;
  server { listen BARRIER; access_log off; location / { return 204; } }
HOSTS}
`

// newWorld starts one. scenario: A, the token service on the registry's host; B, on another one; C, as A with blobs
// redirected to a third.
func newWorld(t testing.TB, scenario byte) *world {
	registryV3, nginx := program(t, "registry-v3"), program(t, "nginx")
	w := &world{t: t, dir: t.TempDir()}
	w.port = free(t, "127.0.0.1", "127.0.0.2", "127.0.0.3")
	w.registry = fmt.Sprintf("https://127.0.0.1:%d", w.port)
	w.auth = w.registry
	if scenario == 'B' {
		w.auth = fmt.Sprintf("https://127.0.0.2:%d", w.port)
	}
	ca := certificate(t, nil, "regauth test CA", 0)
	server := certificate(t, ca, "server", x509.ExtKeyUsageServerAuth)
	client := certificate(t, ca, "buildbot-1", x509.ExtKeyUsageClientAuth)
	w.client = client
	tokens := certificate(t, nil, "tokens", 0)
	w.ca, w.key, w.chain = ca.pem, tokens.key, []string{base64.StdEncoding.EncodeToString(tokens.cert.Raw)}
	w.file("ca.crt", ca.pem)
	w.file("server.crt", server.pem)
	w.file("server.key", server.keyPEM(t))
	bundle := w.file("tokens.crt", tokens.pem)
	var err error
	w.identity, err = regauth.NewIdentity("builder", client.pem, client.keyPEM(t))
	must(t, err)

	service := httptest.NewServer(http.HandlerFunc(w.token))
	t.Cleanup(service.Close)
	start := func(name, auth string) string {
		address := fmt.Sprintf("127.0.0.1:%d", free(t))
		config := fmt.Sprintf("version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: %q\nhttp:\n  addr: %q\n  secret: not-secret-here\n%s",
			filepath.Join(w.dir, "data"), address, auth)
		w.run(name+".log", address, registryV3, "serve", w.file(name+".yml", []byte(config)))
		return address
	}
	direct := start("registry", fmt.Sprintf("auth:\n  token:\n    realm: %q\n    service: test\n    issuer: test\n    rootcertbundle: %q\n", w.auth+"/service/token", bundle))
	open := start("storage", "")
	w.direct = "http://" + open
	w.barrier = fmt.Sprintf("127.0.0.1:%d", free(t))

	host := func(last int, verify, locations string) string {
		return fmt.Sprintf("  server { listen 127.0.0.%d:%d ssl http2; ssl_verify_client %s;\n%s  }\n", last, w.port, verify, locations)
	}
	// A token whose file is there was revoked.
	registry := fmt.Sprintf("    location /v2/ { if (-f $document_root/revoked-$http_authorization) { return 418; } error_page 418 = @bare; proxy_pass http://%s; }\n", direct)
	registry = fmt.Sprintf("    root %q;\n", w.dir) + strings.ReplaceAll(registry, "revoked-$http_authorization", "revoked-$revoked") +
		fmt.Sprintf("    location @bare { proxy_set_header Authorization \"\"; proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https; proxy_pass http://%s; }\n", direct)
	token := fmt.Sprintf("    location /service/token { proxy_pass %s; }\n", service.URL)
	storage := fmt.Sprintf("    location / { proxy_pass http://%s; }\n", open)
	hosts := "  map $http_authorization $revoked { default none; \"~(?<tail>.{12})$\" $tail; }\n"
	switch scenario {
	case 'A':
		hosts += host(1, "on", registry+token)
	case 'B':
		hosts += host(1, "on", registry) + host(2, "on", token)
	case 'C':
		redirect := fmt.Sprintf("    location ~ ^/v2/.*/blobs/sha256: { if ($request_method = GET) { return 307 https://127.0.0.3:%d$request_uri; } proxy_pass http://%s; }\n", w.port, direct)
		hosts += host(1, "on", redirect+registry+token) + host(3, "optional_no_ca", storage)
	}
	config := strings.NewReplacer("BARRIER", w.barrier, "HOSTS", hosts).Replace(nginxConf)
	w.run("nginx.log", w.barrier, nginx, "-p", w.dir, "-c", w.file("nginx.conf", []byte(config)), "-e", "stderr")
	return w
}

// token is the token service: Basic, and a token for all that is asked.
func (w *world) token(out http.ResponseWriter, r *http.Request) {
	w.tokens.Add(1)
	if user, password, _ := r.BasicAuth(); user != "robot" || password != "s3cret" {
		out.WriteHeader(http.StatusUnauthorized)
		return
	}
	var access []map[string]any
	for _, scope := range r.URL.Query()["scope"] {
		for one := range strings.FieldsSeq(scope) {
			if parts := strings.Split(one, ":"); len(parts) == 3 {
				access = append(access, map[string]any{"type": parts[0], "name": parts[1], "actions": strings.Split(parts[2], ",")})
			}
		}
	}
	now := time.Now().Unix()
	part := func(value any) string {
		text, _ := json.Marshal(value)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := part(map[string]any{"alg": "ES256", "typ": "JWT", "x5c": w.chain}) + "." + part(map[string]any{
		"iss": "test", "sub": "robot", "aud": "test", "exp": now + 300, "nbf": now - 10, "iat": now, "jti": rand.Text(), "access": access})
	digest := sha256.Sum256([]byte(signed))
	first, second, err := ecdsa.Sign(rand.Reader, w.key, digest[:])
	must(w.t, err)
	signature := append(first.FillBytes(make([]byte, 32)), second.FillBytes(make([]byte, 32))...)
	text, _ := json.Marshal(map[string]any{"token": signed + "." + base64.RawURLEncoding.EncodeToString(signature), "expires_in": 300})
	_, _ = out.Write(text)
}

// agent is one that is told about this world: the identity at the registry, and a pair with a token service elsewhere.
func (w *world) agent() *regauth.Agent {
	config, err := regauth.NewConfig()
	must(w.t, err)
	defer config.Close()
	must(w.t, config.Roots(regauth.RootsPEM, w.ca))
	must(w.t, config.Host(w.registry, regauth.Host{Identities: []*regauth.Identity{w.identity}}))
	must(w.t, config.Credentials(w.registry, regauth.Credentials{Kind: regauth.Basic, User: "robot", Secret: "s3cret"}))
	if w.auth != w.registry {
		must(w.t, config.Pair(regauth.Pair{Registry: w.registry, Kind: regauth.PairToken, Other: w.auth, Identity: true}))
	}
	agent, err := regauth.NewAgent(config)
	must(w.t, err)
	w.t.Cleanup(agent.Close)
	return agent
}

// image is a manifest and its blobs.
type image struct {
	manifest []byte
	digest   string
	blobs    map[string][]byte
}

func digestOf(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

func newImage(blobs int) *image {
	made := &image{blobs: map[string][]byte{}}
	descriptor := func(kind string, content []byte) map[string]any {
		made.blobs[digestOf(content)] = content
		return map[string]any{"mediaType": kind, "digest": digestOf(content), "size": len(content)}
	}
	config := descriptor("application/vnd.oci.image.config.v1+json", []byte(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}`))
	var layers []map[string]any
	for i := range blobs - 1 {
		layers = append(layers, descriptor("application/vnd.oci.image.layer.v1.tar", bytes.Repeat([]byte{byte(i), 'x'}, 10_000)))
	}
	made.manifest, _ = json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": manifestType, "config": config, "layers": layers})
	made.digest = digestOf(made.manifest)
	return made
}

const manifestType = "application/vnd.oci.image.manifest.v1+json"

// seed puts an image into a repository, by the door that asks for nothing; into further ones by mounts.
func (w *world) seed(i *image, repository string, more ...string) {
	do := func(method, at string, content []byte, kind string, wanted int) *http.Response {
		request, err := http.NewRequest(method, at, bytes.NewReader(content))
		must(w.t, err)
		request.Header.Set("Content-Type", kind)
		answer, err := http.DefaultClient.Do(request)
		must(w.t, err)
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != wanted {
			w.t.Fatalf("%s %s: %s", method, at, answer.Status)
		}
		return answer
	}
	base := w.direct + "/v2/" + repository
	for digest, content := range i.blobs {
		begun := do("POST", base+"/blobs/uploads/", nil, "", http.StatusAccepted)
		location, err := begun.Location()
		must(w.t, err)
		location.RawQuery += "&digest=" + url.QueryEscape(digest)
		do("PUT", location.String(), content, "application/octet-stream", http.StatusCreated)
	}
	do("PUT", base+"/manifests/one", i.manifest, manifestType, http.StatusCreated)
	for _, other := range more {
		base := w.direct + "/v2/" + other
		for digest := range i.blobs {
			do("POST", base+"/blobs/uploads/?mount="+digest+"&from="+repository, nil, "", http.StatusCreated)
		}
		do("PUT", base+"/manifests/one", i.manifest, manifestType, http.StatusCreated)
	}
}

// A hop is a line of nginx's log.
type hop struct {
	server, method, path, dn, authz, conn string
	status                                int
	resumed                               bool
}

var logLine = regexp.MustCompile(`^(\S+) "(\S*) (\S*)[^"]*" (\d+) dn="([^"]*)" authz=(\S+) conn=(\d+) reused=(\S+)$`)

// hops are those since the last call.
func (w *world) hops() []hop {
	// nginx is one process: once it has answered this, what it answered before is logged.
	answer, err := http.Get("http://" + w.barrier)
	must(w.t, err)
	answer.Body.Close()
	text, err := os.ReadFile(filepath.Join(w.dir, "access.log"))
	must(w.t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var all []hop
	for _, line := range lines[w.logged:] {
		found := logLine.FindStringSubmatch(line)
		if found == nil {
			w.t.Fatalf("not a line of the log: %q", line)
		}
		path, _, _ := strings.Cut(found[3], "?")
		one := hop{server: found[1], method: found[2], path: path, dn: found[5], authz: found[6], conn: found[7], resumed: found[8] == "r"}
		fmt.Sscan(found[4], &one.status)
		all = append(all, one)
	}
	w.logged = len(lines)
	return all
}

// counts are requests, 401s, token requests, connections and full handshakes.
type counts struct{ requests, refused, tokens, connections, handshakes int }

func count(hops []hop) counts {
	c, seen := counts{requests: len(hops)}, map[string]bool{}
	for _, h := range hops {
		if h.status == http.StatusUnauthorized {
			c.refused++
		}
		if h.path == "/service/token" {
			c.tokens++
		}
		if !seen[h.conn] {
			seen[h.conn] = true
			c.connections++
			if !h.resumed {
				c.handshakes++
			}
		}
	}
	return c
}

func (c counts) String() string {
	return fmt.Sprintf("%d requests, %d refused, %d token requests, %d connections, %d full handshakes", c.requests, c.refused, c.tokens, c.connections, c.handshakes)
}
