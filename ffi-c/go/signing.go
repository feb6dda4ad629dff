package regauth

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
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

// NewSigningKeyElsewhere gives the key whose private half is held elsewhere, behind a crypto.Signer perhaps: PKCS#11, a TPM, a
// key service. public is its Public(), an *ecdsa.PublicKey on P-256. An issuer of it has no Issue, see [Issuer.Prepare]; and
// its certificate is made where it is held.
func NewSigningKeyElsewhere(public crypto.PublicKey) (*SigningKey, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	key := new(SigningKey)
	return newServed(key, &key.o, fnSigningKeyFree, func(f *frame, _ []uint64) *invocation {
		return f.call(fnSigningKeyFromPublicPem).data(text).to().failure()
	})
}

// SigningKeyInfo is what is known of a key. Printing it shows no secret.
type SigningKeyInfo struct {
	// PrivatePEM is PKCS#8; nil where the key is held elsewhere. Secret: a file of it wants mode 0600.
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
