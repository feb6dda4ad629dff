package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// A place is a TLS server of the names reg.test and storage.test, which are what a test says.
type place struct {
	server *httptest.Server
	ca     *authority
	dials  atomic.Int64

	mu    sync.Mutex
	names []string
}

// shown are the names of the client certificates, request by request.
func (p *place) shown() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.names)
}

func newPlace(t testing.TB, change func(*tls.Config), handle http.HandlerFunc) *place {
	p := &place{ca: certificate(t, nil, "place CA", 0)}
	leaf := certificate(t, p.ca, "server", x509.ExtKeyUsageServerAuth)
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := "-"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		p.mu.Lock()
		p.names = append(p.names, name)
		p.mu.Unlock()
		handle(w, r)
	}))
	p.server.EnableHTTP2 = true
	p.server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.cert.Raw}, PrivateKey: leaf.key}}, ClientAuth: tls.RequestClientCert}
	if change != nil {
		change(p.server.TLS)
	}
	p.server.Config.ErrorLog = quiet
	p.server.StartTLS()
	t.Cleanup(p.server.Close)
	return p
}

// dialer leads every connection to this place.
func (p *place) dialer(ctx context.Context, network, _ string) (net.Conn, error) {
	p.dials.Add(1)
	return new(net.Dialer).DialContext(ctx, network, p.server.Listener.Addr().String())
}

// looking is a transport with names of its own.
func looking(lookup func(context.Context, string) ([]netip.Addr, error), t *Transport) *Transport {
	t.lookup = lookup
	return t
}

func (p *place) agent(t testing.TB, hosts map[string]regauth.Host) *regauth.Agent {
	config, err := regauth.NewConfig()
	must(t, err)
	defer config.Close()
	must(t, config.Roots(regauth.RootsPEM, p.ca.pem))
	for origin, host := range hosts {
		must(t, config.Host(origin, host))
	}
	agent, err := regauth.NewAgent(config)
	must(t, err)
	t.Cleanup(agent.Close)
	return agent
}

func identity(t testing.TB, by *authority, name string) *regauth.Identity {
	made := certificate(t, by, name, x509.ExtKeyUsageClientAuth)
	identity, err := regauth.NewIdentity(name, made.pem, made.keyPEM(t))
	must(t, err)
	return identity
}

func fails(t *testing.T, err error) *regauth.Error {
	t.Helper()
	var said *regauth.Error
	if !errors.As(err, &said) {
		t.Fatalf("came %v", err)
	}
	return said
}

func TestAnAddressThatIsRefusedIsNotUsed(t *testing.T) {
	p := newPlace(t, nil, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/app/blobs/sha256:1" && r.Host == "reg.test" {
			http.Redirect(w, r, "https://storage.test/blob", http.StatusTemporaryRedirect)
		}
	})
	private := netip.MustParseAddr("10.0.0.6")
	addresses := map[string]netip.Addr{"reg.test": netip.MustParseAddr("192.88.98.1"), "storage.test": private,
		"metadata.test": netip.MustParseAddr("169.254.169.254")}
	var looked []string
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		looked = append(looked, host)
		return []netip.Addr{addresses[host]}, nil
	}
	client := &http.Client{Transport: looking(lookup, New(p.agent(t, nil), Options{Dialer: p.dialer}))}

	_, err := client.Get("https://metadata.test/v2/app/manifests/1")
	if said := fails(t, err); said.Fault != regauth.FaultPolicy || p.dials.Load() != 0 {
		t.Errorf("came %v after %d dials", said, p.dials.Load())
	}
	// The storage is at a private address, the registry is not: DNS may have been made to say so.
	_, err = client.Get("https://reg.test/v2/app/blobs/sha256:1")
	if said := fails(t, err); said.Fault != regauth.FaultPolicy || said.Hop != regauth.HopRedirect || p.dials.Load() != 1 {
		t.Errorf("came %v after %d dials", said, p.dials.Load())
	}
	// As a registry it may be there; and a connection that was made for that serves no redirect from the other one.
	answer, err := client.Get("https://storage.test/v2/other/manifests/1")
	must(t, err)
	_, _ = io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	served := len(p.shown())
	_, err = client.Get("https://reg.test/v2/app/blobs/sha256:1")
	if said := fails(t, err); said.Fault != regauth.FaultPolicy || said.Hop != regauth.HopRedirect {
		t.Errorf("came %v", said)
	}
	if len(p.shown()) != served+1 {
		t.Errorf("%d requests were served, and not the redirect alone", len(p.shown())-served)
	}
	if !slices.Contains(looked, "storage.test") {
		t.Errorf("looked up %v", looked)
	}
}

func TestTheNextIdentityIsTriedAfterARejection(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		p := newPlace(t, func(c *tls.Config) {
			c.MinVersion, c.MaxVersion, c.ClientAuth = version, version, tls.RequireAnyClientCert
			c.VerifyPeerCertificate = func(chain [][]byte, _ [][]*x509.Certificate) error {
				leaf, err := x509.ParseCertificate(chain[0])
				if err == nil && leaf.Subject.CommonName == "old" {
					err = errors.New("it was revoked")
				}
				return err
			}
		}, func(w http.ResponseWriter, r *http.Request) {})
		host := regauth.Host{TryPairs: true, Identities: []*regauth.Identity{identity(t, p.ca, "old"), identity(t, p.ca, "new")}}
		lookup := func(context.Context, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		var transcript string
		options := Options{Dialer: p.dialer, Explain: func(_ *http.Request, text string) { transcript = text }}
		client := &http.Client{Transport: looking(lookup, New(p.agent(t, map[string]regauth.Host{"https://reg.test": host}), options))}
		answer, err := client.Get("https://reg.test/v2/app/manifests/1")
		if err != nil {
			t.Errorf("%s: %v", tls.VersionName(version), err)
			continue
		}
		answer.Body.Close()
		if !slices.Equal(p.shown(), []string{"new"}) || !strings.Contains(transcript, "old") {
			t.Errorf("%s: shown %v\n%s", tls.VersionName(version), p.shown(), transcript)
		}
		// Without leave the rejection stands.
		host.TryPairs = false
		client = &http.Client{Transport: looking(lookup, New(p.agent(t, map[string]regauth.Host{"https://reg.test": host}), options))}
		_, err = client.Get("https://reg.test/v2/app/manifests/1")
		if said := fails(t, err); said.Fault != regauth.FaultNetwork || said.Failure != regauth.FailureCertificateRejected ||
			said.Certificates != regauth.CertificateRejected || !strings.Contains(said.What, "old") {
			t.Errorf("%s: came %v: %+v", tls.VersionName(version), said, *said)
		}
	}
}

func TestBehindAProxy(t *testing.T) {
	p := newPlace(t, nil, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) })
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host
		there, err := net.Dial("tcp", p.server.Listener.Addr().String())
		must(t, err)
		here, _, err := w.(http.Hijacker).Hijack()
		must(t, err)
		fmt.Fprint(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(there, here); there.Close() }()
		go func() { _, _ = io.Copy(here, there); here.Close() }()
	}))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	must(t, err)
	lookup := func(context.Context, string) ([]netip.Addr, error) {
		return nil, errors.New("the proxy looks names up")
	}
	host := regauth.Host{Identities: []*regauth.Identity{identity(t, p.ca, "builder")}}
	transport := looking(lookup, New(p.agent(t, map[string]regauth.Host{"https://reg.test": host}), Options{Proxy: http.ProxyURL(at)}))
	client := &http.Client{Transport: transport}
	answer, err := client.Get("https://reg.test/v2/app/manifests/1")
	must(t, err)
	text, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	if string(text) != "HTTP/2.0" || !slices.Equal(p.shown(), []string{"builder"}) || <-asked != "CONNECT reg.test:443" {
		t.Errorf("came %q, shown %v", text, p.shown())
	}
	// Plain http, and an address of this machine, are not for a proxy to reach.
	for _, target := range []string{"http://reg.test/v2/", "https://127.0.0.1/v2/"} {
		_, err := client.Get(target)
		if said := fails(t, err); said.Fault != regauth.FaultPolicy || len(asked) != 0 {
			t.Errorf("%s: came %v", target, said)
		}
	}
}

func TestWhoGivesUpHasTheErrorOfItsContext(t *testing.T) {
	release := make(chan struct{})
	p := newPlace(t, nil, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	lookup := func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	transport := looking(lookup, New(p.agent(t, nil), Options{Dialer: p.dialer}))
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, "GET", "https://reg.test/v2/app/manifests/1", nil)
	must(t, err)
	ended := make(chan error)
	go func() { _, err := transport.RoundTrip(request); ended <- err }()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("came %v", err)
	}
}

func TestWhatIsNotTheApplicationsToSet(t *testing.T) {
	p := newPlace(t, nil, func(http.ResponseWriter, *http.Request) {})
	transport := New(p.agent(t, nil), Options{Dialer: p.dialer})
	for _, name := range []string{"Authorization", "Cookie"} {
		request, err := http.NewRequest("GET", "https://reg.test/v2/", nil)
		must(t, err)
		request.Header.Set(name, "secret")
		_, err = transport.RoundTrip(request)
		if said := fails(t, err); said.Kind != regauth.ErrorField || said.Fault != regauth.FaultLocal || strings.Contains(said.Error(), "secret") {
			t.Errorf("came %v", said)
		}
	}
	if p.dials.Load() != 0 {
		t.Error("it was sent")
	}
}
