package regauth

import "maps"

// Header is a header field. A value may be secret.
type Header struct {
	Name, Value string
}

// RootsMode is which certificate authorities are meant.
type RootsMode uint32

// The modes.
const (
	// RootsInherit are those of the configuration; for a configuration: what this machine trusts.
	RootsInherit RootsMode = 0
	// RootsSystem are those that this machine trusts, and those given.
	RootsSystem RootsMode = 1
	// RootsPEM are only those given.
	RootsPEM RootsMode = 2
)

// Host is the configuration of an origin.
type Host struct {
	// Identities are client identities in the order in which they are tried.
	Identities []*Identity
	// Headers are for every request to this origin as registry, mirror or paired host; never Authorization.
	Headers []Header
	// Roots says which certificate authorities hold, and RootsPEM are those given, PEM texts.
	Roots    RootsMode
	RootsPEM [][]byte
	// Force shows the first identity whatever the server's hints say.
	Force bool
	// TryPairs tries the next identity after a TLS rejection, where the request can be repeated.
	TryPairs bool
	// TryPairsOnStatus does so after an answer that may be a refusal of the certificate: 403, 404, 5xx.
	TryPairsOnStatus bool
	// SkipVerify does not check the server's certificate. No password leaves with it, unless PasswordUnverified is set.
	SkipVerify bool
	// PasswordOverHTTP is leave for a password over plain http; loopback needs none.
	PasswordOverHTTP bool
	// PasswordUnverified is leave for a password to a server whose certificate is not checked.
	PasswordUnverified bool
	// Local is leave to be at an address that is more local than the registry's.
	Local bool
	// WildcardIdentity, of the default host only, is leave for its identity to be shown to every registry.
	WildcardIdentity bool
}

// PairKind is what another origin is to a registry.
type PairKind uint32

// The kinds.
const (
	// PairToken: the registry's credentials may go to this token endpoint.
	PairToken PairKind = 1
	// PairStorage: the registry may redirect to this storage.
	PairStorage PairKind = 2
)

// Pair is a registry and another origin that belongs to it.
type Pair struct {
	Registry string
	Kind     PairKind
	Other    string
	// Identity lends the registry's identity to the other origin, where that has none of its own.
	Identity bool
	// Local is leave to be at an address that is more local than the registry's.
	Local bool
}

// CredentialsKind is what Credentials are; the zero value is none.
type CredentialsKind uint32

// The kinds.
const (
	// NoCredentials stands for none.
	NoCredentials CredentialsKind = 0
	// Basic are user and password.
	Basic CredentialsKind = 1
	// Refresh is a refresh token (Docker's identitytoken).
	Refresh CredentialsKind = 2
	// Bearer is a bearer token that is sent as it is (Docker's registrytoken).
	Bearer CredentialsKind = 3
)

// Credentials of a registry. Printing them shows the kind and the user alone.
type Credentials struct {
	Kind CredentialsKind
	// User is looked at for Basic only.
	User   string
	Secret string
}

func (c Credentials) String() string {
	return name(uint32(c.Kind), "no credentials", "Basic "+c.User+" ***", "Refresh ***", "Bearer ***")
}

// GoString is the same for %#v.
func (c Credentials) GoString() string { return c.String() }

// Option is a setting of a configuration; all are off before.
type Option uint32

// The options.
const (
	// AskForAll: the program looks up the credentials of every registry that has none in the configuration.
	AskForAll Option = 1
	// AnyHTTPS: credentials go to any https realm, never an identity.
	AnyHTTPS Option = 2
	// PasswordPost: passwords go to token endpoints by POST first (OAuth 2), instead of GET with Basic.
	PasswordPost Option = 3
	// OfflineToken: ask token endpoints for a refresh token, which is then used in the place of the password.
	OfflineToken Option = 4
)

// Config is what an agent is told. Use it from one goroutine at a time.
type Config struct {
	o *object
	// signers are identities whose keys are in this program and not in the core, by what names them there.
	signers signers
}

type signers map[signer]*Identity

type signer struct {
	label       string
	fingerprint [32]byte
}

// NewConfig is an empty configuration.
func NewConfig() (*Config, error) {
	config := &Config{signers: signers{}}
	err := use(func(f *frame) error {
		c := f.call(fnConfigNew).to()
		at, err := c.pointerOr(c.do())
		if err == nil {
			config.o = newObject(config, at, fnConfigFree)
		}
		return err
	})
	return config, err
}

// Close frees it; agents made of it go on.
func (c *Config) Close() { c.o.close() }

func (c *Config) change(body func(f *frame, at uint64) *invocation) error {
	defer keep(c)
	return c.o.exclusively(func(f *frame, at uint64) error {
		return f.kept(body(f, at).run(), fnConfigError, at)
	})
}

// Host sets the entry of an origin, a URL such as "https://reg.example:5000", in the place of an earlier one.
func (c *Config) Host(origin string, host Host) error {
	return c.host(host, func(f *frame, at uint64) *invocation { return f.call(fnConfigHost).u(at).text(origin) })
}

// DefaultHost sets the entry for registries without one of their own: roots and headers; identities only with
// WildcardIdentity.
func (c *Config) DefaultHost(host Host) error {
	return c.host(host, func(f *frame, at uint64) *invocation { return f.call(fnConfigDefaultHost).u(at) })
}

func (c *Config) host(host Host, begin func(f *frame, at uint64) *invocation) error {
	for _, identity := range host.Identities {
		info, err := identity.Info()
		if err != nil {
			return err
		}
		clear(info.keyPEM)
		if identity.pair != nil {
			c.signers[signer{info.Label, info.Fingerprint}] = identity
		}
		// Not closed until the core has it.
		identity.o.mu.RLock()
		defer identity.o.mu.RUnlock()
	}
	return c.change(func(f *frame, at uint64) *invocation {
		var flags uint32
		for i, set := range []bool{host.Force, host.TryPairs, host.SkipVerify, host.PasswordOverHTTP,
			host.PasswordUnverified, host.Local, host.WildcardIdentity, host.TryPairsOnStatus} {
			if set {
				flags |= 1 << i
			}
		}
		identities := make([]uint64, len(host.Identities))
		for i, identity := range host.Identities {
			identities[i] = identity.o.at
		}
		r := f.record().u32(flags).u32(uint32(host.Roots)).datas(host.RootsPEM).pointers(identities).headers(host.Headers)
		return begin(f, at).u(r.texts(nil).put())
	})
}

// Roots sets the certificate authorities for origins whose entry has none; pem are PEM texts.
func (c *Config) Roots(mode RootsMode, pem ...[]byte) error {
	return c.change(func(f *frame, at uint64) *invocation {
		return f.call(fnConfigRoots).u(at).u(uint64(mode)).u(f.datas(pem)).u(uint64(len(pem)))
	})
}

// Pair pairs a registry with another origin.
func (c *Config) Pair(pair Pair) error {
	var flags uint64
	if pair.Identity {
		flags |= 1
	}
	if pair.Local {
		flags |= 2
	}
	return c.change(func(f *frame, at uint64) *invocation {
		return f.call(fnConfigPair).u(at).text(pair.Registry).u(uint64(pair.Kind)).text(pair.Other).u(flags)
	})
}

// Credentials sets those of a registry.
func (c *Config) Credentials(registry string, credentials Credentials) error {
	return c.change(func(f *frame, at uint64) *invocation {
		call := f.call(fnConfigCredentials).u(at).text(registry).u(uint64(credentials.Kind))
		return call.text(credentials.User).text(credentials.Secret)
	})
}

// Ask makes flows ask for the credentials of this registry when they are needed: StepCredentials.
func (c *Config) Ask(registry string) error {
	return c.change(func(f *frame, at uint64) *invocation { return f.call(fnConfigAsk).u(at).text(registry) })
}

// Set turns an option on or off.
func (c *Config) Set(option Option, on bool) error {
	var value uint64
	if on {
		value = 1
	}
	return c.change(func(f *frame, at uint64) *invocation {
		return f.call(fnConfigOption).u(at).u(uint64(option)).u(value)
	})
}

func (f *frame) datas(list [][]byte) uint64 {
	l := f.list()
	for _, one := range list {
		l.data(one)
	}
	return l.put()
}

// keys are the identities that an agent of this configuration has to keep for TLS.
func (c *Config) keys() signers { return maps.Clone(c.signers) }
