package regauth

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Life is when a certificate holds: from five minutes before Now until TTL after it.
type Life struct {
	Now time.Time
	TTL time.Duration
	// Entropy are 32 random bytes for this call alone, for output that can be made again. nil: fresh ones.
	Entropy *[32]byte
}

// end puts the arguments that all functions of the mint end with.
func (l Life) end(c *invocation) *invocation {
	return c.u(millis(l.Now)).u(seconds(l.TTL)).u(put(c.f, random(l.Entropy)))
}

// CA signs short-lived certificates. Its key is in memory only. It is never changed, and for any number of goroutines.
type CA struct{ o *object }

// NewCA makes a CA, which lives a day at most.
func NewCA(name string, life Life) (*CA, error) {
	ca := new(CA)
	return newServed(ca, &ca.o, fnCaFree, func(f *frame, _ []uint64) *invocation {
		c := f.call(fnCaNew).u(millis(life.Now)).u(seconds(life.TTL)).text(name)
		return c.u(put(f, random(life.Entropy))).to().failure()
	})
}

// Issued is a certificate, and its key where that was made here. Printing it shows no secret.
type Issued struct {
	// CertificatePEM and CertificateDER are the certificate alone.
	CertificatePEM, CertificateDER []byte
	// KeyPEM is PKCS#8; nil where the key is somewhere else. Secret: a file of it wants mode 0600.
	KeyPEM   []byte
	NotAfter time.Time
}

func (i Issued) String() string {
	return fmt.Sprintf("certificate until %s", i.NotAfter.UTC().Format(time.RFC3339))
}

// GoString is the same for %#v.
func (i Issued) GoString() string { return i.String() }

// TLS gives certificate and key for crypto/tls.
func (i Issued) TLS() (tls.Certificate, error) {
	if len(i.KeyPEM) == 0 {
		return tls.Certificate{}, errors.New("regauth: the key of this certificate is somewhere else: give its signer to tls.Certificate")
	}
	return tls.X509KeyPair(i.CertificatePEM, i.KeyPEM)
}

func (f *frame) issued(get function, at uint64) (*Issued, error) {
	out := f.out()
	if err := f.call(get).u(at).u(out).run().err(); err != nil {
		return nil, err
	}
	r := f.read(out)
	issued := &Issued{CertificatePEM: r.data(), CertificateDER: r.data(), KeyPEM: r.data()}
	issued.NotAfter = fromMillis(r.u64())
	return issued, nil
}

// Certificate is the CA's own; it has no key.
func (c *CA) Certificate() (issued *Issued, err error) {
	defer keep(c)
	err = serveWith(func(f *frame, at []uint64) error {
		issued, err = f.issued(fnCaGet, at[0])
		return err
	}, c.o)
	return issued, err
}

// Pool is one with the CA alone, for tls.Config.
func (c *CA) Pool() (*x509.CertPool, error) {
	issued, err := c.Certificate()
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(issued.CertificateDER)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return pool, nil
}

func (c *CA) issue(life Life, begin func(f *frame, ca uint64) *invocation) (issued *Issued, err error) {
	defer keep(c)
	err = serveWith(func(f *frame, at []uint64) error {
		made, err := life.end(begin(f, at[0])).given()
		if err != nil {
			return err
		}
		defer f.call(fnIssuedFree).u(made).run()
		issued, err = f.issued(fnIssuedGet, made)
		return err
	}, c.o)
	return issued, err
}

// given is the pointer that comes out, with the error behind it.
func (c *invocation) given() (uint64, error) {
	c.to().failure()
	return c.pointerOr(c.do())
}

// Server is a certificate for these host names and IP addresses, which lives as long as the CA at most.
func (c *CA) Server(names []string, life Life) (*Issued, error) {
	return c.issue(life, func(f *frame, ca uint64) *invocation {
		list := f.list()
		for _, name := range names {
			list.text(name)
		}
		return f.call(fnCaServer).u(ca).u(list.put()).u(uint64(len(names)))
	})
}

// Client is a client's certificate with the common name label and, unless it is empty, the URI SAN uri, such as a SPIFFE id.
func (c *CA) Client(label, uri string, life Life) (*Issued, error) {
	return c.issue(life, func(f *frame, ca uint64) *invocation {
		return f.call(fnCaClient).u(ca).text(label).text(uri)
	})
}

// ClientFor is the same for a key on P-256 that is somewhere else: key is its public half, *ecdsa.PublicKey.
func (c *CA) ClientFor(key crypto.PublicKey, label, uri string, life Life) (*Issued, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("regauth: %s: %w", label, err)
	}
	return c.issue(life, func(f *frame, ca uint64) *invocation {
		return f.call(fnCaClientFor).u(ca).data(der).text(label).text(uri)
	})
}

// Close frees it, and wipes its key.
func (c *CA) Close() { c.o.close() }

// Certificate is that of a key that signs tokens, in DER: what goes into KeyRef.Chain and, as PEM, into a registry's
// rootcertbundle. It is its own issuer, and lives as long as is said.
func (k *SigningKey) Certificate(name string, life Life) (der []byte, err error) {
	defer keep(k)
	err = serveWith(func(f *frame, at []uint64) error {
		der, err = life.end(f.call(fnTokenCertificate).u(at[0]).text(name)).spaceOrFailure()
		return err
	}, k.o)
	return der, err
}

// Bundle are the certificates of one buildkitd and its clients. Printing it shows no secret.
type Bundle struct {
	// Files are to be written with mode 0600 into a directory with mode 0700. What is in those that end in ".key" is secret.
	Files []NamedFile

	o *object
}

// NamedFile is a file's name and contents. Printing it shows the name alone.
type NamedFile struct {
	Name     string
	Contents []byte
}

func (n NamedFile) String() string { return n.Name }

// GoString is the same for %#v.
func (n NamedFile) GoString() string { return n.String() }

// Command is a command for a POSIX shell, and what it is for.
type Command struct{ For, Line string }

// NewBuildkitdBundle makes the certificates of one buildkitd for clients that connect to names: CA, server, client with uri as
// its URI SAN unless that is empty, and health check. The CA's key is dropped.
func NewBuildkitdBundle(names []string, uri string, life Life) (*Bundle, error) {
	bundle := new(Bundle)
	_, err := newServed(bundle, &bundle.o, fnBundleFree, func(f *frame, _ []uint64) *invocation {
		list := f.list()
		for _, name := range names {
			list.text(name)
		}
		c := f.call(fnBundleBuildkitd).u(list.put()).u(uint64(len(names))).text(uri)
		return life.end(c).to().failure()
	})
	if err != nil {
		return nil, err
	}
	err = bundle.each(func(f *frame, at, index uint64) *invocation {
		return f.call(fnBundleFile).u(at).u(index)
	}, func(r *reader) {
		bundle.Files = append(bundle.Files, NamedFile{Name: r.text(), Contents: r.data()})
	})
	return bundle, err
}

// each reads a list of names until its end.
func (b *Bundle) each(item func(f *frame, at, index uint64) *invocation, read func(*reader)) error {
	defer keep(b)
	return serveWith(func(f *frame, at []uint64) error {
		for index, out := uint64(0), f.out(); ; index++ {
			if err := item(f, at[0], index).u(out).run().err(); err == errNone {
				return nil
			} else if err != nil {
				return err
			}
			read(f.read(out))
		}
	}, b.o)
}

// Commands are those that use the files: buildkitd, buildctl, buildx and the health check. directory is where they are, as an
// absolute path, port the one that buildkitd listens on.
func (b *Bundle) Commands(directory string, port uint16) (commands []Command, err error) {
	err = b.each(func(f *frame, at, index uint64) *invocation {
		return f.call(fnBundleCommand).u(at).text(directory).u(uint64(port)).u(index)
	}, func(r *reader) {
		commands = append(commands, Command{For: r.text(), Line: r.text()})
	})
	return commands, err
}

// Close frees it, and wipes the library's copy of its keys.
func (b *Bundle) Close() { b.o.close() }
