package regauth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"
)

// PeerSource is who has verified a client certificate.
type PeerSource uint32

// The sources.
const (
	// PeerTLS is the program's own TLS.
	PeerTLS PeerSource = 1
	// PeerProxy is a proxy in front of it, which counts only where a guard or an issuer is told so.
	PeerProxy PeerSource = 2
)

// Peer is a client certificate that was verified. It is never changed.
type Peer struct{ o *object }

// NewPeer makes a peer of the leaf of a chain that was verified: one that was merely asked for proves nothing.
func NewPeer(leaf *x509.Certificate, source PeerSource) (*Peer, error) {
	return NewPeerDER(leaf.Raw, source)
}

// NewPeerDER does the same with its DER.
func NewPeerDER(leaf []byte, source PeerSource) (*Peer, error) {
	peer := new(Peer)
	return newServed(peer, &peer.o, fnPeerFree, func(f *frame, _ []uint64) *invocation {
		return f.call(fnPeerFromVerifiedDer).data(leaf).u(uint64(source)).to().failure()
	})
}

// NewPeerSHA256 makes one of what a proxy passes on, where that is only the SHA-256 of the leaf's DER.
func NewPeerSHA256(sum [32]byte) (*Peer, error) {
	peer := new(Peer)
	return newServed(peer, &peer.o, fnPeerFree, func(f *frame, _ []uint64) *invocation {
		return f.call(fnPeerFromProxySha256).u(put(f, sum[:])).to()
	})
}

// PeerOf gives the peer of a connection: the leaf of its first verified chain. nil where there is none, whatever certificate
// was shown.
func PeerOf(connection *tls.ConnectionState) (*Peer, error) {
	if connection == nil || len(connection.VerifiedChains) == 0 {
		return nil, nil
	}
	return NewPeer(connection.VerifiedChains[0][0], PeerTLS)
}

// PeerInfo is what is known of a peer.
type PeerInfo struct {
	// SHA256 is that of its DER: what tokens are bound to.
	SHA256 [32]byte
	// NotAfter is when it ends; zero where that is not known.
	NotAfter time.Time
	// SPIFFE is its SPIFFE id; empty where it has none.
	SPIFFE string
	// CommonName is its subject's only one, which nothing here takes for an identity.
	CommonName string
}

// Info says what is known of it.
func (p *Peer) Info() (PeerInfo, error) {
	defer keep(p)
	var info PeerInfo
	err := serveWith(func(f *frame, at []uint64) error {
		out := f.out()
		if err := f.call(fnPeerGet).u(at[0]).u(out).run().err(); err != nil {
			return err
		}
		r := f.read(out)
		copy(info.SHA256[:], r.skip(32))
		info.NotAfter, info.SPIFFE, info.CommonName = fromMillis(r.u64()), r.text(), r.text()
		return nil
	}, p.held())
	return info, err
}

// Close frees it.
func (p *Peer) Close() {
	if p != nil {
		p.o.close()
	}
}

func (p *Peer) held() *object {
	if p == nil {
		return nil
	}
	return p.o
}

// Subject is whom the program has authenticated: what it says, nothing of the request. Calls wait for each other.
type Subject struct{ o *object }

// NewSubject is somebody, by the sub of tokens; or nobody, whom no more than pull is ever granted, if it is empty.
func NewSubject(sub string) (*Subject, error) {
	subject := new(Subject)
	return newServed(subject, &subject.o, fnSubjectFree, func(f *frame, _ []uint64) *invocation {
		return f.call(fnSubjectNew).text(sub).to().failure()
	})
}

func (s *Subject) call(body func(f *frame, at uint64) *invocation) error {
	defer keep(s)
	return serveWith(func(f *frame, at []uint64) error { return body(f, at[0]).run().err() }, s.held())
}

// Role gives it a role, which lines of a policy begin with. ErrInput for a word that is no role.
func (s *Subject) Role(role string) error {
	return s.call(func(f *frame, at uint64) *invocation { return f.call(fnSubjectRole).u(at).text(role) })
}

// Bind gives it a value for a placeholder of a policy: one component of a repository name. ErrInput for anything else, and for
// a placeholder that has a value.
func (s *Subject) Bind(placeholder, value string) error {
	return s.call(func(f *frame, at uint64) *invocation {
		return f.call(fnSubjectBind).u(at).text(placeholder).text(value)
	})
}

// Until: tokens for it end no later than this.
func (s *Subject) Until(end time.Time) error {
	return s.call(func(f *frame, at uint64) *invocation { return f.call(fnSubjectUntil).u(at).u(millis(end)) })
}

// Close frees it.
func (s *Subject) Close() { s.o.close() }

func (s *Subject) held() *object {
	if s == nil {
		return nil
	}
	return s.o
}

// Template makes subjects of SPIFFE ids. It is never changed.
type Template struct{ o *object }

// ErrNoSubject is given for a certificate that has no SPIFFE id, or one that does not fit the template.
var ErrNoSubject = errors.New("regauth: the certificate has no SPIFFE id that fits the template")

// NewTemplate reads a template, such as "spiffe://example.org/tenant/{tenant}/builder/{build}"; whoever fits has this role.
func NewTemplate(template, role string) (*Template, error) {
	t := new(Template)
	return newServed(t, &t.o, fnTemplateFree, func(f *frame, _ []uint64) *invocation {
		return f.call(fnTemplateParse).text(template).text(role).to().failure()
	})
}

// Subject is that of the peer's SPIFFE id, or ErrNoSubject.
func (t *Template) Subject(peer *Peer) (*Subject, error) {
	defer keep(t)
	defer keep(peer)
	if peer == nil {
		return nil, ErrNoSubject
	}
	subject := new(Subject)
	_, err := newServed(subject, &subject.o, fnSubjectFree, func(f *frame, at []uint64) *invocation {
		return f.call(fnTemplateSubject).u(at[0]).u(at[1]).to()
	}, t.o, peer.o)
	if err == errNone {
		err = ErrNoSubject
	}
	if err != nil {
		return nil, err
	}
	return subject, nil
}

// Close frees it.
func (t *Template) Close() { t.o.close() }

// Policy says who may do what. It is never changed.
type Policy struct{ o *object }

// NewPolicy reads lines of role, repositories and actions, of which the first that fits decides; what fits none is denied.
func NewPolicy(lines string) (*Policy, error) {
	policy := new(Policy)
	return newServed(policy, &policy.o, fnPolicyFree, func(f *frame, _ []uint64) *invocation {
		return f.call(fnPolicyParse).text(lines).to().failure()
	})
}

// Close frees it.
func (p *Policy) Close() { p.o.close() }

func (p *Policy) held() *object {
	if p == nil {
		return nil
	}
	return p.o
}
