package regauth

import (
	"fmt"
	"strings"
	"time"
)

// TrustedKey is a key that verifies tokens: one of PublicPEM and CertificateDER.
type TrustedKey struct {
	// PublicPEM is a SubjectPublicKeyInfo.
	PublicPEM []byte
	// CertificateDER is the certificate that a registry has in its rootcertbundle. Only its key is read.
	CertificateDER []byte
	// KeyID is one more kid for it; it always has its RFC 7638 thumbprint and its libtrust id.
	KeyID string
}

// GuardConfig is what a guard is made of.
type GuardConfig struct {
	// Realm is the token endpoint's absolute URL.
	Realm string
	// Service is the registry's, which tokens have as their audience.
	Service string
	// Issuer is that of its tokens.
	Issuer string
	Keys   []TrustedKey
	// MaxLife is the longest life of a token that is believed; 0 for 61 minutes.
	MaxLife time.Duration
	// RequireBound: every token has to be bound to a client certificate (RFC 8705 section 3).
	RequireBound bool
	// TrustProxy: a certificate counts that a proxy has verified. Only where every way here goes through that proxy.
	TrustProxy bool
	// InsecureRealm: the realm may be plain http where it is not loopback.
	InsecureRealm bool
}

// Guard decides about every request to a registry. It is never changed, and for any number of goroutines.
type Guard struct{ o *object }

// NewGuard makes a guard; nothing of its challenge is ever taken from a request.
func NewGuard(config GuardConfig) (*Guard, error) {
	guard := new(Guard)
	return newServed(guard, &guard.o, fnGuardFree, func(f *frame, _ []uint64) *invocation {
		keys := f.list()
		for _, key := range config.Keys {
			keys.data(key.PublicPEM).data(key.CertificateDER).text(key.KeyID)
		}
		r := f.record().text(config.Realm).text(config.Service).text(config.Issuer)
		r.word(keys.put()).word(uint64(len(config.Keys))).u64(seconds(config.MaxLife))
		r.u32(flag(config.RequireBound)).u32(flag(config.TrustProxy)).u32(flag(config.InsecureRealm)).u32(0)
		return f.call(fnGuardNew).u(r.put()).to().failure()
	})
}

// Call is a request, as an HTTP server read it.
type Call struct {
	// Method, byte for byte.
	Method string
	// Target is the request target as it was received, neither decoded nor cleaned: http.Request.RequestURI.
	Target string
	// Authorization are the values of all Authorization fields. Secret.
	Authorization []string
	// ContentType is the value of Content-Type; empty where there is none.
	ContentType string
	// Body is that of a token request, at most MaxTokenRequest bytes and one; a guard does not look at it. Secret.
	Body []byte
	// Peer is the verified client certificate; nil where there is none.
	Peer *Peer
}

// MaxTokenRequest is the longest token request, in bytes: target, body and Authorization together.
const MaxTokenRequest = 16 << 10

func (c Call) String() string {
	target, _, _ := strings.Cut(c.Target, "?")
	return fmt.Sprintf("%s %q", c.Method, target)
}

// GoString is the same for %#v.
func (c Call) GoString() string { return c.String() }

// record writes it; peer is the address of its peer. What is no UTF-8 becomes what fits nothing.
func (c Call) record(f *frame, peer uint64) uint64 {
	text := func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
	authorization := make([]string, len(c.Authorization))
	for i, value := range c.Authorization {
		authorization[i] = text(value)
	}
	r := f.record().text(text(c.Method)).text(text(c.Target)).texts(authorization)
	return r.text(text(c.ContentType)).data(c.Body).word(peer).put()
}

// Verdict is what to do with a request.
type Verdict uint32

// The verdicts.
const (
	// VerdictNotRegistry: its path is none of the registry API. It is not for the registry, and gets no challenge.
	VerdictNotRegistry Verdict = 1
	// VerdictAllow: the registry may have it.
	VerdictAllow Verdict = 2
	// VerdictSend: answer with the reply.
	VerdictSend Verdict = 3
)

func (v Verdict) String() string { return name(uint32(v), "", "not-registry", "allow", "send") }

// Reply says what to do with a request, or is the answer of a token endpoint. Printing it shows no secret.
type Reply struct {
	Verdict Verdict
	// Status, Headers and Body are the answer, for VerdictSend; Content-Length is the program's. The body may hold a token:
	// secret.
	Status  int
	Headers []Header
	Body    []byte
	// Reason is a short name for a log, such as "token-expired", for VerdictSend.
	Reason string
	// TokenID is the token's jti, for a log or a list of revoked ones; empty where there is none.
	TokenID string
	// Subject is the token's sub, for VerdictAllow; empty for an anonymous client.
	Subject string
	// Needed are the scopes that the request needed, a space between each, for VerdictAllow.
	Needed string
	// IssuedAt is when the token was issued, for VerdictAllow; zero without a token.
	IssuedAt time.Time
	// Bound is whether the token is bound to the client's certificate, for VerdictAllow.
	Bound bool
}

func (r Reply) String() string {
	if r.Verdict == VerdictSend {
		return fmt.Sprintf("%s %d (%s)", r.Verdict, r.Status, r.Reason)
	}
	return fmt.Sprintf("%s %q %s", r.Verdict, r.Subject, r.Needed)
}

// GoString is the same for %#v.
func (r Reply) GoString() string { return r.String() }

// replied calls a function whose last argument is where a reply comes out, and frees that.
func (c *invocation) replied() (*Reply, error) {
	c.to()
	if err := c.run().err(); err != nil {
		return nil, err
	}
	return c.f.reply(c.pointer())
}

// reply reads a reply, and frees it.
func (f *frame) reply(at uint64) (*Reply, error) {
	defer f.call(fnReplyFree).u(at).run()
	out := f.out()
	if err := f.call(fnReplyGet).u(at).u(out).run().err(); err != nil {
		return nil, err
	}
	r := f.read(out)
	reply := &Reply{Verdict: Verdict(r.u32()), Status: int(r.u32()), Headers: r.headers(), Body: r.data()}
	reply.Reason, reply.TokenID, reply.Subject, reply.Needed = r.text(), r.text(), r.text(), r.text()
	reply.IssuedAt, reply.Bound = fromMillis(r.u64()), r.u32() == 1
	return reply, nil
}

// Check says whether a request may pass, by its token.
func (g *Guard) Check(call Call, now time.Time) (reply *Reply, err error) {
	defer keep(g)
	defer keep(call.Peer)
	err = serveWith(func(f *frame, at []uint64) error {
		reply, err = f.call(fnGuardCheck).u(at[0]).u(call.record(f, at[1])).u(millis(now)).replied()
		return err
	}, g.o, call.Peer.held())
	return reply, err
}

// CheckDirect says whether somebody whom the program has authenticated without a token may pass, by a policy alone.
func (g *Guard) CheckDirect(call Call, subject *Subject, policy *Policy) (reply *Reply, err error) {
	defer keep(g)
	defer keep(call.Peer)
	defer keep(subject)
	defer keep(policy)
	err = serveWith(func(f *frame, at []uint64) error {
		reply, err = f.call(fnGuardCheckDirect).u(at[0]).u(call.record(f, at[1])).u(at[2]).u(at[3]).replied()
		return err
	}, g.o, call.Peer.held(), subject.held(), policy.held())
	return reply, err
}

// Close frees it.
func (g *Guard) Close() { g.o.close() }
