package regauth

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"
)

// Identity is a client certificate and its key, or the name of one. It is never changed.
type Identity struct {
	o    *object
	pair *tls.Certificate
}

// NewIdentity makes an identity from PEM: the chain with the leaf first, and its key as PKCS#8, PKCS#1 or SEC1, not
// encrypted; both may be in one text, which is then given twice. label stands for it in every text.
func NewIdentity(label string, chainPEM, keyPEM []byte) (*Identity, error) {
	identity, err := newIdentity(func(f *frame) (uint64, error) {
		c := f.call(fnIdentityFromPem).text(label).data(chainPEM).data(keyPEM).to().failure()
		return c.pointerOr(c.do())
	})
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chainPEM, keyPEM)
	if err != nil {
		identity.Close()
		return nil, &Error{
			Fault: FaultLocal, Kind: ErrorIdentity, What: fmt.Sprintf("%s: %v", label, err),
			Remedy: "Give the chain with the leaf first, and the key whose public half the leaf holds.",
		}
	}
	identity.pair = &pair
	return identity, nil
}

// NewSignerIdentity makes an identity whose key is somewhere else: a token, an agent, a key service. schemes are what it
// can sign with, best first.
func NewSignerIdentity(label string, chainPEM []byte, signer crypto.Signer, schemes ...tls.SignatureScheme) (*Identity, error) {
	identity, err := newIdentity(func(f *frame) (uint64, error) {
		c := f.call(fnIdentityFromChain).text(label).data(chainPEM).u(f.schemes(schemes)).u(uint64(len(schemes))).to().failure()
		return c.pointerOr(c.do())
	})
	if err != nil {
		return nil, err
	}
	pair := tls.Certificate{PrivateKey: signer, SupportedSignatureAlgorithms: schemes}
	for block, rest := pem.Decode(chainPEM); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			pair.Certificate = append(pair.Certificate, block.Bytes)
		}
	}
	if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
		identity.Close()
		return nil, fmt.Errorf("regauth: %s: %w", label, err)
	}
	identity.pair = &pair
	return identity, nil
}

// NamedIdentity is the name of an identity that the program's own TLS holds. fingerprint is the SHA-256 of its leaf, or
// zero where it is not known; it keeps tokens of one certificate apart from those of the next.
func NamedIdentity(label string, fingerprint [32]byte) (*Identity, error) {
	return newIdentity(func(f *frame) (uint64, error) {
		c := f.call(fnIdentityNamed).text(label).u(put(f, fingerprint[:])).to()
		return c.pointerOr(c.do())
	})
}

func newIdentity(make func(f *frame) (uint64, error)) (*Identity, error) {
	identity := new(Identity)
	err := use(func(f *frame) error {
		at, err := make(f)
		if err == nil {
			identity.o = newObject(identity, at, fnIdentityFree)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return identity, nil
}

// IdentityInfo is what is known of an identity.
type IdentityInfo struct {
	// Label is the name that it was given.
	Label string
	// Fingerprint is the SHA-256 of the leaf.
	Fingerprint [32]byte
	// NotBefore and NotAfter are the life of the leaf; zero where they are not known.
	NotBefore, NotAfter time.Time
	// ClientAuth is whether the leaf's extended key usage allows client authentication; true where it has none.
	ClientAuth bool
	// ChainPEM are the certificates as they were given; none where only the name is known.
	ChainPEM []byte

	keyPEM []byte
}

// Info says what is known of it.
func (i *Identity) Info() (IdentityInfo, error) {
	defer keep(i)
	var info IdentityInfo
	err := i.o.shared(func(f *frame, at uint64) error {
		out := f.out()
		if err := f.call(fnIdentityGet).u(at).u(out).run().err(); err != nil {
			return err
		}
		r := f.read(out)
		info.Label = r.text()
		copy(info.Fingerprint[:], r.skip(32))
		info.NotBefore, info.NotAfter = fromMillis(r.u64()), fromMillis(r.u64())
		info.ClientAuth = r.u32() == 1
		r.u32()
		info.ChainPEM, info.keyPEM = r.data(), r.data()
		return nil
	})
	return info, err
}

// Close frees it; configurations and agents keep what they need.
func (i *Identity) Close() { i.o.close() }

// certificate gives chain and key for crypto/tls.
func (i *Identity) certificate() (*tls.Certificate, error) {
	if i.pair != nil {
		return i.pair, nil
	}
	info, err := i.Info()
	if err != nil {
		return nil, err
	}
	if len(info.keyPEM) == 0 {
		return nil, fmt.Errorf("regauth: of the identity %s only the name is known: its key is needed for TLS", info.Label)
	}
	pair, err := tls.X509KeyPair(info.ChainPEM, info.keyPEM)
	clear(info.keyPEM)
	if err != nil {
		return nil, fmt.Errorf("regauth: the identity %s cannot be used: %w", info.Label, err)
	}
	return &pair, nil
}

func (f *frame) schemes(list []tls.SignatureScheme) uint64 {
	var numbers bytes.Buffer
	for _, scheme := range list {
		numbers.Write([]byte{byte(scheme), byte(scheme >> 8)})
	}
	return put(f, numbers.Bytes())
}
