package regauth

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// ProfileID names a profile of an agent: what connections are pooled by. One that showed a certificate never serves a
// request that may not.
type ProfileID uint32

// Profile is what a TLS connection is made with: roots, identities, options. It is never changed.
type Profile struct {
	o *object
	// Force, TryPairs, TryPairsOnStatus and SkipVerify are those of Host.
	Force, TryPairs, TryPairsOnStatus, SkipVerify bool
	// SystemRoots: what this machine trusts is trusted, beside RootsPEM.
	SystemRoots bool
	// RootsPEM are PEM texts of certificate authorities.
	RootsPEM [][]byte
	// ALPN are the protocol names that are configured; none: the program's own.
	ALPN []string
	// MinVersion and MaxVersion are those of crypto/tls; 0 where they are not set.
	MinVersion, MaxVersion uint16
	// Labels are those of the identities, in their order.
	Labels []string

	certificates func() ([]*tls.Certificate, error)
	roots        func() (*x509.CertPool, error)
}

func newProfile(f *frame, at uint64, keys signers) (*Profile, error) {
	p := &Profile{}
	p.o = newObject(p, at, fnProfileFree)
	out := f.out()
	if err := f.call(fnProfileGet).u(at).u(out).run().err(); err != nil {
		return nil, err
	}
	r := f.read(out)
	flags := r.u32()
	p.Force, p.TryPairs, p.SkipVerify, p.TryPairsOnStatus = flags&1 != 0, flags&2 != 0, flags&4 != 0, flags&128 != 0
	p.SystemRoots = RootsMode(r.u32()) == RootsSystem
	roots, identities, alpn := r.word(), r.word(), r.word()
	version := func(number uint32) uint16 {
		if number == 0 {
			return 0
		}
		return uint16(number + 0x0302)
	}
	p.MinVersion, p.MaxVersion = version(r.u32()), version(r.u32())
	lent := func(name function, n uint64) [][]byte {
		var all [][]byte
		for i := range n {
			out := f.alloc(16)
			if f.call(name).u(at).u(i).u(out).run() != statusOK {
				break
			}
			list := &reader{f: f, whole: f.m.bytes(out, 16)}
			all = append(all, list.data())
		}
		return all
	}
	p.RootsPEM = lent(fnProfileRoot, roots)
	for _, name := range lent(fnProfileAlpn, alpn) {
		p.ALPN = append(p.ALPN, string(name))
	}
	var held []*Identity
	for i := range identities {
		c := f.call(fnProfileIdentity).u(at).u(i).to()
		identity := new(Identity)
		at, err := c.pointerOr(c.do())
		if err != nil {
			return nil, err
		}
		identity.o = newObject(identity, at, fnIdentityFree)
		held = append(held, identity)
	}
	// Read later: not under the machine's lock.
	p.certificates = sync.OnceValues(func() ([]*tls.Certificate, error) {
		all := make([]*tls.Certificate, len(held))
		for i, identity := range held {
			info, err := identity.Info()
			if err != nil {
				return nil, err
			}
			clear(info.keyPEM)
			if own := keys[signer{info.Label, info.Fingerprint}]; own != nil {
				all[i] = own.pair
			} else if all[i], err = identity.certificate(); err != nil {
				return nil, err
			}
		}
		return all, nil
	})
	p.roots = sync.OnceValues(p.pool)
	for _, identity := range held {
		out := f.out()
		if err := f.call(fnIdentityGet).u(identity.o.at).u(out).run().err(); err != nil {
			return nil, err
		}
		p.Labels = append(p.Labels, f.read(out).text())
	}
	return p, nil
}

// pool gives nil for what this machine trusts and nothing else.
func (p *Profile) pool() (*x509.CertPool, error) {
	if p.SystemRoots && len(p.RootsPEM) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if p.SystemRoots {
		var err error
		if pool, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("regauth: the certificate authorities of this machine cannot be read: %w", err)
		}
	}
	for _, pem := range p.RootsPEM {
		if !pool.AppendCertsFromPEM(pem) {
			return nil, errors.New("regauth: a certificate authority is configured in which there is no certificate")
		}
	}
	return pool, nil
}

// Close frees it.
func (p *Profile) Close() { p.o.close() }

// Choice is which identity to show to a server that asked.
type Choice struct {
	Shown Shown
	// Pair is the number of the identity to show, the first being 1; 0: none.
	Pair int
	// Next is the one that would do if the server rejects this one and TryPairs is set; 0: none.
	Next int
	// Lines: one for each identity that does not fit, with the reason, or the label of the one that does.
	Lines []string
}

// Choose says what to answer to a CertificateRequest. Identities are taken in their order, without the first skip: 0, or
// what Retry gave. hints are the DER names of certificate_authorities, schemes those of the request.
func (p *Profile) Choose(skip int, hints [][]byte, schemes []tls.SignatureScheme) (Choice, error) {
	defer keep(p)
	var choice Choice
	err := p.o.shared(func(f *frame, at uint64) error {
		out := f.out()
		c := f.call(fnProfileChoose).u(at).u(uint64(skip)).u(f.datas(hints)).u(uint64(len(hints)))
		text, err := c.u(f.schemes(schemes)).u(uint64(len(schemes))).u(out).space()
		if err != nil {
			return err
		}
		r := f.read(out)
		choice = Choice{Shown: Shown(r.u32()), Pair: int(r.u32()), Next: int(r.u32())}
		if choice.Shown == ShownPair {
			choice.Lines = []string{string(text)}
		} else if len(text) > 0 {
			choice.Lines = strings.Split(string(text), "\n")
		}
		return nil
	})
	return choice, err
}

// Retry says whether to make another attempt with the next identity, after one that showed tls and ended with a failure
// (status 0) or an answer (why 0). skip is how many identities to leave out then. Whether the request can be repeated is
// for the caller to know; another attempt takes a new connection that resumes no session.
func (p *Profile) Retry(tls *Evidence, why Failure, status int) (skip int, again bool) {
	defer keep(p)
	if tls == nil || tls.Next == 0 {
		return 0, false
	}
	err := p.o.shared(func(f *frame, at uint64) error {
		c := f.call(fnProfileRetry).u(at).u(f.evidence(tls)).u(uint64(why)).u(uint64(status)).to()
		next, err := c.pointerOr(c.do())
		skip = int(next)
		return err
	})
	return skip, err == nil
}

// TLSConfig is what one connection is made with, leaving out the first skip identities. evidence, which may be nil, gets
// what the handshake shows about client certificates; it is the connection's own.
func (p *Profile) TLSConfig(skip int, evidence *Evidence) (*tls.Config, error) {
	roots, err := p.roots()
	if err != nil {
		return nil, err
	}
	certificates, err := p.certificates()
	if err != nil {
		return nil, err
	}
	if evidence == nil {
		evidence = new(Evidence)
	}
	config := &tls.Config{
		RootCAs: roots, InsecureSkipVerify: p.SkipVerify, NextProtos: p.ALPN, MinVersion: p.MinVersion, MaxVersion: p.MaxVersion,
	}
	config.GetClientCertificate = func(request *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		evidence.Version = request.Version
		evidence.Hints = hints(request.AcceptableCAs)
		choice, err := p.Choose(skip, request.AcceptableCAs, signing(request))
		if err != nil {
			return nil, err
		}
		evidence.Shown, evidence.Pair, evidence.Next, evidence.Lines = choice.Shown, choice.Pair, choice.Next, choice.Lines
		if choice.Pair == 0 {
			// An empty certificate message (RFC 8446 section 4.4.2).
			return new(tls.Certificate), nil
		}
		certificate := certificates[choice.Pair-1]
		issuer := ""
		if certificate.Leaf != nil {
			issuer = certificate.Leaf.Issuer.String()
		}
		evidence.Lines = append(evidence.Lines, issuer)
		return certificate, nil
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		evidence.Version, evidence.Resumed = state.Version, state.DidResume
		return nil
	}
	return config, nil
}

// signing are the schemes of a request; in TLS 1.3 without those of PKCS#1, which sign certificates only (RFC 8446 section
// 4.2.3).
func signing(request *tls.CertificateRequestInfo) []tls.SignatureScheme {
	if request.Version < tls.VersionTLS13 {
		return request.SignatureSchemes
	}
	var all []tls.SignatureScheme
	for _, scheme := range request.SignatureSchemes {
		if scheme&0xff != 0x01 {
			all = append(all, scheme)
		}
	}
	return all
}

func hints(names [][]byte) []string {
	var all []string
	for _, der := range names {
		var sequence pkix.RDNSequence
		if _, err := asn1.Unmarshal(der, &sequence); err == nil {
			all = append(all, sequence.String())
		}
	}
	return all
}
