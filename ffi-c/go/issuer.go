package regauth

import (
	"fmt"
	"time"
)

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
	// Key signs, or says who does. It may be closed after.
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
		return scoped(f, fnIssuerIssueScopes, at, may).u(millis(now)).u(put(f, random(id)))
	}, ask, subject.held())
}

// Unsigned is a token that lacks its signature. Its two fields are what to sign, with ECDSA on P-256.
type Unsigned struct {
	// SigningInput is the JWS Signing Input (RFC 7515 section 5.1), for what hashes itself.
	SigningInput []byte
	// Digest is SHA-256 of it, for a crypto.Signer.
	Digest [32]byte

	o *object
}

// Close frees it.
func (u *Unsigned) Close() { u.o.close() }

func (u *Unsigned) held() *object {
	if u == nil {
		return nil
	}
	return u.o
}

// Prepare is Issue up to the signature, which the program makes where the key is held; then it calls Finish, or Refuse where it
// cannot sign. Either a token, or a refusal to be sent as it is.
func (i *Issuer) Prepare(ask *Ask, subject *Subject, policy *Policy, now time.Time, id *[16]byte) (*Unsigned, *Reply, error) {
	defer keep(subject)
	defer keep(policy)
	return i.prepared(func(f *frame, at []uint64) *invocation {
		return f.call(fnIssuerPrepare).u(at[0]).u(at[1]).u(at[2]).u(at[3]).u(millis(now)).u(put(f, random(id)))
	}, ask, subject.held(), policy.held())
}

// PrepareScopes is the same for IssueScopes.
func (i *Issuer) PrepareScopes(ask *Ask, subject *Subject, may []string, now time.Time, id *[16]byte) (*Unsigned, *Reply, error) {
	defer keep(subject)
	return i.prepared(func(f *frame, at []uint64) *invocation {
		return scoped(f, fnIssuerPrepareScopes, at, may).u(millis(now)).u(put(f, random(id)))
	}, ask, subject.held())
}

func (i *Issuer) prepared(body func(f *frame, at []uint64) *invocation, ask *Ask, of ...*object) (*Unsigned, *Reply, error) {
	defer keep(i)
	defer keep(ask)
	unsigned, refused := new(Unsigned), (*Reply)(nil)
	err := serveWith(func(f *frame, at []uint64) (err error) {
		answer := f.alloc(8)
		clear(f.m.bytes(answer, 8))
		c := body(f, at).to().u(answer)
		if err := c.run().err(); err != nil {
			return err
		}
		made := c.pointer()
		if made == 0 {
			refused, err = f.reply(f.wordAt(answer))
			return err
		}
		unsigned.o = newObject(unsigned, made, fnUnsignedFree)
		out := f.out()
		if err := f.call(fnUnsignedGet).u(made).u(out).run().err(); err != nil {
			return err
		}
		r := f.read(out)
		unsigned.SigningInput = r.data()
		copy(unsigned.Digest[:], r.skip(32))
		return nil
	}, append([]*object{i.o, ask.held()}, of...)...)
	if err != nil || refused != nil {
		return nil, refused, err
	}
	return unsigned, nil, nil
}

// Finish is the answer with the token that the program has signed: signature is DER, as a crypto.Signer gives it, or r and s of
// 32 bytes each. It is verified: one that the issuer's key has not made over the token gets 500.
func (i *Issuer) Finish(unsigned *Unsigned, signature []byte) (reply *Reply, err error) {
	defer keep(i)
	defer keep(unsigned)
	err = serveWith(func(f *frame, at []uint64) error {
		reply, err = f.call(fnIssuerFinish).u(at[0]).u(at[1]).data(signature).replied()
		return err
	}, i.o, unsigned.held())
	return reply, err
}

// scoped is the call of a function that takes a list of scopes after the subject.
func scoped(f *frame, name function, at []uint64, may []string) *invocation {
	scopes := f.list()
	for _, scope := range may {
		scopes.text(scope)
	}
	return f.call(name).u(at[0]).u(at[1]).u(at[2]).u(scopes.put()).u(uint64(len(may)))
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
