package server

import (
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// Authenticate says who asks for a token, and by which policy: by its certificate, peer, which is nil where there is none that
// counts, and by what it proves itself with, ask. The subject is closed after; the policy is not. A *Refused refuses it; any
// other error is answered with 503. [regauth.Ask.Credential] is what a client claims: whoever does not look at it must refuse
// all but [regauth.CredentialNone].
type Authenticate func(r *http.Request, ask *regauth.Ask, peer *regauth.Peer) (*regauth.Subject, *regauth.Policy, error)

// Refused is an error of Authenticate: no token, and why.
type Refused struct {
	Why regauth.Refusal
	// Retry goes into Retry-After, for RefuseTooMany and RefuseUnavailable.
	Retry time.Duration
}

func (r *Refused) Error() string { return fmt.Sprintf("regauth: no token: %s", r.Why) }

// ByTemplate authenticates by client certificate alone: who fits the template gets what the policy says. There are no
// passwords, so one that is sent is wrong, and who shows no certificate is nobody.
func ByTemplate(template *regauth.Template, policy *regauth.Policy) Authenticate {
	return func(_ *http.Request, ask *regauth.Ask, peer *regauth.Peer) (*regauth.Subject, *regauth.Policy, error) {
		if ask.Credential != regauth.CredentialNone {
			return nil, nil, &Refused{Why: regauth.RefuseCredentials}
		}
		if peer == nil {
			subject, err := regauth.NewSubject("")
			return subject, policy, err
		}
		subject, err := template.Subject(peer)
		if errors.Is(err, regauth.ErrNoSubject) {
			err = &Refused{Why: regauth.RefuseCredentials}
		}
		return subject, policy, err
	}
}

var errUnread = errors.New("the request could not be read")

// Token is an http.Handler for a registry's token endpoint.
type Token struct {
	// Issuer issues.
	Issuer *regauth.Issuer
	// Signer signs, where the issuer's key is one of [regauth.NewSigningKeyElsewhere]; else nil. Where it fails, the answer is
	// 503, and Answered is told.
	Signer crypto.Signer
	// Authenticate says who asks.
	Authenticate Authenticate
	// Answered is told of each answer, and of the error of Authenticate or Signer that led to it, for a log; may be nil. A reply shows no
	// secret when it is printed.
	Answered func(*http.Request, *regauth.Reply, error)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

func (t *Token) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply, why, err := t.answer(r)
	if errors.Is(err, errUnread) {
		http.Error(w, errUnread.Error(), http.StatusBadRequest)
		return
	}
	if err != nil {
		fail(w, err)
		return
	}
	if t.Answered != nil {
		t.Answered(r, reply, why)
	}
	send(w, reply)
}

// answer gives the answer, and the error of Authenticate or Signer, where there was one.
func (t *Token) answer(r *http.Request) (reply *regauth.Reply, why, err error) {
	peer, err := regauth.PeerOf(r.TLS)
	if err != nil {
		return nil, nil, err
	}
	defer peer.Close()
	asked := call(r, peer)
	// One byte more than is allowed, for the issuer to refuse.
	if asked.Body, err = io.ReadAll(io.LimitReader(r.Body, regauth.MaxTokenRequest+1)); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errUnread, err)
	}
	defer clear(asked.Body)
	ask, reply, err := t.Issuer.Read(asked)
	if ask == nil {
		return reply, nil, err
	}
	defer ask.Close()
	if !ask.HasPeer {
		peer = nil
	}
	subject, policy, why := t.Authenticate(r, ask, peer)
	if subject != nil {
		defer subject.Close()
	}
	if why == nil && (subject == nil || policy == nil) {
		why = errors.New("regauth: Authenticate gave neither a subject with a policy nor an error")
	}
	if why != nil {
		refused := &Refused{Why: regauth.RefuseUnavailable}
		errors.As(why, &refused)
		reply, err = t.Issuer.Refuse(ask, refused.Why, refused.Retry)
		return reply, why, err
	}
	if t.Signer == nil {
		reply, err = t.Issuer.Issue(ask, subject, policy, clock(t.Now), nil)
		return reply, nil, err
	}
	unsigned, reply, err := t.Issuer.Prepare(ask, subject, policy, clock(t.Now), nil)
	if unsigned == nil {
		return reply, nil, err
	}
	defer unsigned.Close()
	signature, why := t.Signer.Sign(rand.Reader, unsigned.Digest[:], crypto.SHA256)
	if why != nil {
		reply, err = t.Issuer.Refuse(ask, regauth.RefuseUnavailable, 0)
		return reply, why, err
	}
	reply, err = t.Issuer.Finish(unsigned, signature)
	return reply, nil, err
}
