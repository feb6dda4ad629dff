package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// pool is the connections of one profile, without the first identities that were refused.
type pool struct {
	transport *http.Transport
	profile   *regauth.Profile
	skip      int

	mu       sync.Mutex
	sessions map[string]*sessions
}

// sessions are the TLS sessions of one origin, and what the handshake showed that they began with.
type sessions struct {
	tls.ClientSessionCache
	mu    sync.Mutex
	first regauth.Evidence
}

type poolKey struct {
	profile regauth.ProfileID
	skip    int
}

// pools are made when they are needed, one for each profile.
type pools struct {
	mu  sync.Mutex
	all map[poolKey]*pool
}

func (p *pools) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.all {
		one.transport.CloseIdleConnections()
	}
}

// pool gives the one of a profile, or of the newest in its place.
func (t *Transport) pool(out *regauth.Outgoing, skip int) (*pool, error) {
	t.pools.mu.Lock()
	defer t.pools.mu.Unlock()
	id, profile, err := t.agent.Newest(out.Profile)
	if err != nil {
		return nil, err
	}
	key := poolKey{id, skip}
	if known := t.pools.all[key]; known != nil {
		profile.Close()
		return known, nil
	}
	if id != out.Profile {
		// It was replaced: nothing new is sent through the old ones.
		for old, one := range t.pools.all {
			if old.profile == out.Profile {
				one.transport.CloseIdleConnections()
				delete(t.pools.all, old)
			}
		}
	}
	made := &pool{profile: profile, skip: skip, sessions: map[string]*sessions{}}
	made.transport = &http.Transport{
		Proxy: t.options.Proxy,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return t.dial(ctx, network, address)
		},
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return t.dialTLS(ctx, made, network, address)
		},
		ForceAttemptHTTP2: true,
		// Bodies are the application's, as they were sent.
		DisableCompression:    true,
		TLSHandshakeTimeout:   30 * time.Second,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	if made.transport.TLSClientConfig, err = made.proxied(out.Origin); err != nil {
		return nil, err
	}
	if t.options.Configure != nil {
		t.options.Configure(made.transport)
	}
	if t.pools.all == nil {
		t.pools.all = map[poolKey]*pool{}
	}
	t.pools.all[key] = made
	return made, nil
}

// config is what one connection is made with.
func (p *pool) config(evidence *regauth.Evidence, origin string) (*tls.Config, error) {
	config, err := p.profile.TLSConfig(p.skip, evidence)
	if err != nil {
		return nil, err
	}
	if len(config.NextProtos) == 0 {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	config.ClientSessionCache = p.session(origin)
	return config, nil
}

// proxied is what http.Transport makes handshakes with by itself: those through a proxy.
func (p *pool) proxied(origin string) (*tls.Config, error) {
	config, err := p.config(new(regauth.Evidence), origin)
	if err != nil {
		return nil, err
	}
	config.ClientSessionCache, config.VerifyConnection = tls.NewLRUClientSessionCache(0), nil
	config.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		evidence := new(regauth.Evidence)
		own, err := p.profile.TLSConfig(p.skip, evidence)
		if err != nil {
			return nil, err
		}
		if try := attemptOf(request.Context()); try != nil {
			defer try.shows(evidence)
		}
		return own.GetClientCertificate(request)
	}
	return config, nil
}

func (p *pool) session(origin string) *sessions {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sessions[origin] == nil {
		p.sessions[origin] = &sessions{ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	}
	return p.sessions[origin]
}

// connection is one to an address that the core allowed, with what its handshake showed.
type connection struct {
	net.Conn
	address  netip.Addr
	evidence *regauth.Evidence
	// over is TLS over it, and answered is whether an answer came through it.
	over     *tls.Conn
	answered atomic.Bool
}

// connectionOf finds it under TLS.
func connectionOf(conn net.Conn) *connection {
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn()
	}
	found, _ := conn.(*connection)
	return found
}

// dial connects to the first address that the core allows and that answers.
func (t *Transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	try := attemptOf(ctx)
	if try == nil {
		return nil, errors.New("a connection that no request asked for")
	}
	if try.proxied {
		// The proxy's own address; what it connects to was asked about.
		conn, err := t.options.Dialer(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &connection{Conn: conn}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addresses, err := t.lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	var last error
	for _, ip := range addresses {
		ip = ip.Unmap()
		if err := try.dial(ip); err != nil {
			if last == nil {
				last = err
			}
			continue
		}
		conn, err := t.options.Dialer(ctx, network, net.JoinHostPort(ip.String(), port))
		if err == nil {
			return &connection{Conn: conn, address: ip}, nil
		}
		last = err
	}
	if last == nil {
		last = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return nil, last
}

// dialTLS does so and makes the handshake.
func (t *Transport) dialTLS(ctx context.Context, p *pool, network, address string) (net.Conn, error) {
	plain, err := t.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	try, under := attemptOf(ctx), plain.(*connection)
	evidence := new(regauth.Evidence)
	config, err := p.config(evidence, try.origin)
	if err != nil {
		plain.Close()
		return nil, err
	}
	config.ServerName, _, _ = net.SplitHostPort(address)
	over := tls.Client(plain, config)
	ctx, cancel := context.WithTimeout(ctx, p.transport.TLSHandshakeTimeout)
	defer cancel()
	if err := over.HandshakeContext(ctx); err != nil {
		plain.Close()
		evidence.Alert = alert(err)
		try.shows(evidence)
		return nil, err
	}
	evidence.Finished = true
	under.over, under.evidence = over, p.session(try.origin).seen(evidence)
	return over, nil
}

// seen keeps what a full handshake showed for the sessions that begin with it; that of a resumed one is the first one's.
func (s *sessions) seen(evidence *regauth.Evidence) *regauth.Evidence {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !evidence.Resumed {
		s.first = *evidence
		return evidence
	}
	resumed := s.first
	resumed.Version, resumed.Resumed, resumed.Finished = evidence.Version, true, true
	return &resumed
}
