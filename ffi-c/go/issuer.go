package regauth

import (
	"fmt"
	"time"
)

// SigningKey is a P-256 key that signs tokens. It is never changed.
type SigningKey struct{ o *object }

// NewSigningKey makes a key of 32 random bytes: the same bytes, the same key. nil: fresh ones.
func NewSigningKey(entropy *[32]byte) (*SigningKey, error) {
	key := new(SigningKey)
	return newServed(key, &key.o, fnSigningKeyFree, func(f *frame, _ []uint64) *invocation {
		return f.call(fnSigningKeyGenerate).u(put(f, random(entropy))).to().failure()
	})
}

// ParseSigningKey gives the key that an earlier one's PrivatePEM says.
func ParseSigningKey(privatePEM []byte) (*SigningKey, error) {
	key := new(SigningKey)
	return newServed(key, &key.o, fnSigningKeyFree, func(f *frame, _ []uint64) *invocation {
		return f.call(fnSigningKeyFromPem).data(privatePEM).to().failure()
	})
}

// SigningKeyInfo is what is known of a key. Printing it shows no secret.
type SigningKeyInfo struct {
	// PrivatePEM is PKCS#8. Secret: a file of it wants mode 0600.
	PrivatePEM []byte
	// PublicPEM is a SubjectPublicKeyInfo, for TrustedKey.
	PublicPEM []byte
	// Thumbprint is the SHA-256 thumbprint of the JWK (RFC 7638 section 3), base64url.
	Thumbprint string
	// LibtrustID is the libtrust id.
	LibtrustID string
}

func (i SigningKeyInfo) String() string { return "key " + i.Thumbprint }

// GoString is the same for %#v.
func (i SigningKeyInfo) GoString() string { return i.String() }

// Info says what is known of it.
func (k *SigningKey) Info() (SigningKeyInfo, error) {
	defer keep(k)
	var info SigningKeyInfo
	err := serveWith(func(f *frame, at []uint64) error {
		out := f.out()
		if err := f.call(fnSigningKeyGet).u(at[0]).u(out).run().err(); err != nil {
			return err
		}
		r := f.read(out)
		info = SigningKeyInfo{PrivatePEM: r.data(), PublicPEM: r.data(), Thumbprint: r.text(), LibtrustID: r.text()}
		return nil
	}, k.o)
	return info, err
}

// JWKS is a JWK set (RFC 7517 section 5) with this key's public half, its kid as reference says.
func (k *SigningKey) JWKS(reference KeyRef) (set []byte, err error) {
	defer keep(k)
	err = serveWith(func(f *frame, at []uint64) error {
		set, err = f.call(fnSigningKeyJwks).u(at[0]).u(reference.record(f)).spaceOrFailure()
		return err
	}, k.o)
	return set, err
}

// Close frees it, and wipes it.
func (k *SigningKey) Close() { k.o.close() }

func (k *SigningKey) held() *object {
	if k == nil {
		return nil
	}
	return k.o
}

// KeyRefKind is a way to name a key.
type KeyRefKind uint32

// The ways.
const (
	KeyRefX5C        KeyRefKind = 1
	KeyRefThumbprint KeyRefKind = 2
	KeyRefLibtrust   KeyRefKind = 3
	KeyRefKeyID      KeyRefKind = 4
)

// KeyRef is how tokens name the key that verifies them.
type KeyRef struct {
	Kind KeyRefKind
	// KeyID is the kid, for KeyRefKeyID.
	KeyID string
	// Chain are certificates in DER, the key's own first, for KeyRefX5C: SigningKey.Certificate.
	Chain [][]byte
}

func (k KeyRef) record(f *frame) uint64 {
	return f.record().u32(uint32(k.Kind)).u32(0).text(k.KeyID).datas(k.Chain).put()
}

// Bind says whether tokens are bound to client certificates (RFC 8705 section 3).
type Bind uint32

// When they are.
const (
	BindOff      Bind = 0
	BindIfPeer   Bind = 1
	BindRequired Bind = 2
)

// IssuerConfig is what an issuer is made of.
type IssuerConfig struct {
	// Issuer is the tokens' iss: what registries have as the issuer.
	Issuer string
	// Services are the registries'; a token's aud is one of them.
	Services []string
	// Key signs. It may be closed after.
	Key *SigningKey
	// Reference is how tokens name it.
	Reference KeyRef
	// TTL is how long a token lives, 1 to 60 minutes; 0 for five.
	TTL  time.Duration
	Bind Bind
	// TrustProxy: a certificate counts that a proxy has verified. Only where every way here goes through that proxy.
	TrustProxy bool
}

// Issuer issues tokens. It is never changed, and for any number of goroutines.
type Issuer struct{ o *object }

// NewIssuer makes an issuer, checked: that its key can sign with its reference too.
func NewIssuer(config IssuerConfig) (*Issuer, error) {
	defer keep(config.Key)
	issuer := new(Issuer)
	return newServed(issuer, &issuer.o, fnIssuerFree, func(f *frame, at []uint64) *invocation {
		r := f.record().text(config.Issuer).texts(config.Services).word(at[0]).word(config.Reference.record(f))
		r.u64(seconds(config.TTL)).u32(uint32(config.Bind)).u32(flag(config.TrustProxy))
		return f.call(fnIssuerNew).u(r.put()).to().failure()
	}, config.Key.held())
}

// CredentialKind is what a client proves itself with, beside its certificate.
type CredentialKind uint32

// The kinds.
const (
	CredentialNone CredentialKind = 0
	// CredentialBasic: user and password in Authorization.
	CredentialBasic CredentialKind = 1
	// CredentialPassword: user and password in a form.
	CredentialPassword CredentialKind = 2
	// CredentialRefresh: a refresh token in a form.
	CredentialRefresh CredentialKind = 3
)

func (k CredentialKind) String() string {
	return name(uint32(k), "none", "basic", "password", "refresh")
}

// Ask is a token request that was read. Printing it shows no secret.
type Ask struct {
	// Credential is what the client proves itself with.
	Credential CredentialKind
	// HasPeer is whether it has shown a certificate that counts. Where there is a credential too, decide which of them counts,
	// or that they have to agree.
	HasPeer bool
	User    string
	// Secret is the password or token.
	Secret string
	// SecretSHA256 is that of the secret, to look up a random one by; zero where there is none.
	SecretSHA256 [32]byte
	// Service is which of the configured services the token is for.
	Service string
	// Scopes are those asked for that can be granted at all, a space between each.
	Scopes string
	// ClientID is what software asks, as it says itself, for a log.
	ClientID string

	o *object
}

func (a *Ask) String() string {
	return fmt.Sprintf("token for %q at %q, credential %s, certificate %v", a.Scopes, a.Service, a.Credential, a.HasPeer)
}

// GoString is the same for %#v.
func (a *Ask) GoString() string { return a.String() }

// Close frees it, and wipes the library's copy of its secret.
func (a *Ask) Close() { a.o.close() }

func (a *Ask) held() *object {
	if a == nil {
		return nil
	}
	return a.o
}

// Read reads a token request; either it, or a refusal to be sent as it is. Then the program authenticates, and calls Issue,
// IssueScopes or Refuse.
func (i *Issuer) Read(call Call) (*Ask, *Reply, error) {
	defer keep(i)
	defer keep(call.Peer)
	ask, refused := new(Ask), (*Reply)(nil)
	err := serveWith(func(f *frame, at []uint64) (err error) {
		answer := f.alloc(8)
		clear(f.m.bytes(answer, 8))
		c := f.call(fnIssuerRead).u(at[0]).u(call.record(f, at[1])).to().u(answer)
		if err := c.run().err(); err != nil {
			return err
		}
		asked := c.pointer()
		if asked == 0 {
			refused, err = f.reply(f.wordAt(answer))
			return err
		}
		ask.o = newObject(ask, asked, fnAskFree)
		out := f.out()
		if err := f.call(fnAskGet).u(asked).u(out).run().err(); err != nil {
			return err
		}
		r := f.read(out)
		ask.Credential, ask.HasPeer = CredentialKind(r.u32()), r.u32() == 1
		ask.User, ask.Secret = r.text(), r.text()
		copy(ask.SecretSHA256[:], r.skip(32))
		ask.Service, ask.Scopes, ask.ClientID = r.text(), r.text(), r.text()
		return nil
	}, i.o, call.Peer.held())
	if err != nil || refused != nil {
		return nil, refused, err
	}
	return ask, nil, nil
}

// answer calls one of the functions that answer a token request.
func (i *Issuer) answer(body func(f *frame, at []uint64) *invocation, ask *Ask, of ...*object) (reply *Reply, err error) {
	defer keep(i)
	defer keep(ask)
	err = serveWith(func(f *frame, at []uint64) error {
		reply, err = body(f, at).replied()
		return err
	}, append([]*object{i.o, ask.held()}, of...)...)
	return reply, err
}

// Issue is the answer with a token for what was asked for and the policy lets the subject do, or a refusal. id is the token's
// jti, nil for random bytes.
func (i *Issuer) Issue(ask *Ask, subject *Subject, policy *Policy, now time.Time, id *[16]byte) (*Reply, error) {
	defer keep(subject)
	defer keep(policy)
	return i.answer(func(f *frame, at []uint64) *invocation {
		return f.call(fnIssuerIssue).u(at[0]).u(at[1]).u(at[2]).u(at[3]).u(millis(now)).u(put(f, random(id)))
	}, ask, subject.held(), policy.held())
}

// IssueScopes is the same where the program has a policy of its own: may are the scopes that the subject may have, whatever
// was asked for.
func (i *Issuer) IssueScopes(ask *Ask, subject *Subject, may []string, now time.Time, id *[16]byte) (*Reply, error) {
	defer keep(subject)
	return i.answer(func(f *frame, at []uint64) *invocation {
		scopes := f.list()
		for _, scope := range may {
			scopes.text(scope)
		}
		c := f.call(fnIssuerIssueScopes).u(at[0]).u(at[1]).u(at[2]).u(scopes.put()).u(uint64(len(may)))
		return c.u(millis(now)).u(put(f, random(id)))
	}, ask, subject.held())
}

// Refusal is why a token is refused.
type Refusal uint32

// The reasons.
const (
	// RefuseCredentials: they are wrong, or missing.
	RefuseCredentials Refusal = 1
	// RefuseDenied: whoever it is may not have tokens.
	RefuseDenied Refusal = 2
	// RefuseTooMany: it asks too often.
	RefuseTooMany Refusal = 3
	// RefuseUnavailable: it cannot be decided now.
	RefuseUnavailable Refusal = 4
)

func (r Refusal) String() string {
	return name(uint32(r), "", "credentials", "denied", "too-many", "unavailable")
}

// Refuse is the answer without a token; retry goes into Retry-After for the last two reasons.
func (i *Issuer) Refuse(ask *Ask, why Refusal, retry time.Duration) (*Reply, error) {
	return i.answer(func(f *frame, at []uint64) *invocation {
		return f.call(fnIssuerRefuse).u(at[0]).u(at[1]).u(uint64(why)).u(seconds(retry))
	}, ask)
}

// Close frees it.
func (i *Issuer) Close() { i.o.close() }
