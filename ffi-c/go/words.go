package regauth

import "strings"

// Challenge is one challenge of an answer (RFC 9110 section 11.6.1).
type Challenge struct {
	// Scheme is as it was written; its case has no meaning.
	Scheme string
	// Token68 is nil where there is none.
	Token68 []byte
	// Params are in their order: names as they were written, values without quotes.
	Params []Header
}

// Param gives the value of a parameter, whatever its case.
func (c *Challenge) Param(name string) (string, bool) {
	for _, param := range c.Params {
		if strings.EqualFold(param.Name, name) {
			return param.Value, true
		}
	}
	return "", false
}

// ParseChallenges reads the WWW-Authenticate fields of one answer, given in their order. flaws is how many times they break
// the grammar.
func ParseChallenges(fields ...string) (all []Challenge, flaws int, err error) {
	err = use(func(f *frame) error {
		flawed := f.alloc(8)
		clear(f.m.bytes(flawed, 8))
		list := f.list()
		for _, field := range fields {
			list.text(field)
		}
		c := f.call(fnChallengesParse).u(list.put()).u(uint64(len(fields))).to().u(flawed)
		at, err := c.pointerOr(c.do())
		if err != nil {
			return err
		}
		defer f.call(fnChallengesFree).u(at).run()
		flaws = int(f.wordAt(flawed))
		out := f.out()
		for i := uint64(0); f.call(fnChallengesGet).u(at).u(i).u(out).run() == statusOK; i++ {
			r := f.read(out)
			all = append(all, Challenge{Scheme: r.text(), Token68: r.data(), Params: r.headers()})
		}
		return nil
	})
	return all, flaws, err
}

// ScopesNeeded gives the scopes that a request of the distribution specification needs, the needed one first and mount
// sources after it; target is path and query. Empty where a token without a scope is needed; ok is false where the target
// is no registry API.
func ScopesNeeded(method, target string) (scopes []string, ok bool) {
	err := use(func(f *frame) error {
		text, err := f.call(fnScopeNeeded).text(method).text(target).space()
		scopes = strings.Fields(string(text))
		return err
	})
	return scopes, err == nil
}

// MergeScopes makes one list out of many, given in the order in which they became known.
func MergeScopes(scopes ...string) ([]string, error) {
	var merged []string
	err := use(func(f *frame) error {
		text, err := f.call(fnScopeMerge).text(strings.Join(scopes, " ")).space()
		merged = strings.Fields(string(text))
		return err
	})
	return merged, err
}

// Covers is whether a token for granted serves needed.
func Covers(granted, needed []string) (bool, error) {
	var covers bool
	err := use(func(f *frame) error {
		c := f.call(fnScopeCovers).text(strings.Join(granted, " ")).text(strings.Join(needed, " ")).to()
		err := c.do()
		covers = err == nil && c.u32() == 1
		return err
	})
	return covers, err
}

// ParseOrigin gives the origin of a URL in normal form: "https://reg.example:5000".
func ParseOrigin(url string) (string, error) {
	var origin []byte
	err := use(func(f *frame) (err error) {
		origin, err = f.call(fnOriginParse).text(url).spaceOrFailure()
		return err
	})
	return string(origin), err
}

// Reference is an image name, [domain/]repository[:tag][@digest], with Docker's defaults.
type Reference struct {
	// Origin is that of the registry's API.
	Origin string
	// Domain is such as "docker.io".
	Domain string
	// Repository is such as "library/alpine".
	Repository string
	// Tag and Digest are empty where there are none.
	Tag, Digest string
	// Reference is what to ask for: the digest, or else the tag.
	Reference string

	name string
}

// ParseReference reads an image name.
func ParseReference(name string) (*Reference, error) {
	reference := &Reference{name: name}
	err := reference.with(func(f *frame, at uint64) error {
		out := f.out()
		if err := f.call(fnReferenceGet).u(at).u(out).run().err(); err != nil {
			return err
		}
		r := f.read(out)
		reference.Origin, reference.Domain, reference.Repository = r.text(), r.text(), r.text()
		reference.Tag, reference.Digest, reference.Reference = r.text(), r.text(), r.text()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return reference, nil
}

// String is the name that was read.
func (r *Reference) String() string { return r.name }

func (r *Reference) with(body func(f *frame, at uint64) error) error {
	return use(func(f *frame) error {
		c := f.call(fnReferenceParse).text(r.name).to().failure()
		at, err := c.pointerOr(c.do())
		if err != nil {
			return err
		}
		defer f.call(fnReferenceFree).u(at).run()
		return body(f, at)
	})
}

// Capability is what an endpoint can do.
type Capability uint32

// The capabilities.
const (
	// Pull: manifests by digest, and blobs.
	Pull Capability = 1
	// Resolve: which digest a tag stands for.
	Resolve Capability = 2
	// Push: uploads.
	Push Capability = 4
	// Referrers: the manifests that refer to one.
	Referrers Capability = 8
)

// Endpoint is where to ask for an image. Each is an anchor of its own: nothing of the registry's goes to a mirror.
type Endpoint struct {
	// Origin is scheme, host and port.
	Origin string
	// Root is the path of the API: "/v2", unless the configuration overrides it.
	Root string
	// Repository is the repository there.
	Repository string
	// NS is the registry that a mirror is asked to stand for, as query parameter ns; empty where that is not asked.
	NS string
	// Provenance is the file and key that it comes from; empty where it comes from no file.
	Provenance string
	// Capabilities, added up.
	Capabilities Capability
	// Profile is that of requests to it.
	Profile ProfileID
	// Mirror is whether it is one.
	Mirror bool

	prefix, suffix string
}

// URL is that of something in the repository: rest is "manifests/latest", "blobs/sha256:..".
func (e *Endpoint) URL(rest string) string { return e.prefix + rest + e.suffix }

// Endpoints are those for an image that can do want, one capability, in order: mirrors, then the registry.
func (a *Agent) Endpoints(image *Reference, want Capability) ([]Endpoint, error) {
	defer keep(a)
	var all []Endpoint
	a.o.mu.RLock()
	defer a.o.mu.RUnlock()
	if a.o.at == 0 {
		return nil, ErrClosed
	}
	err := image.with(func(f *frame, reference uint64) error {
		c := f.call(fnAgentEndpoints).u(a.o.at).u(reference).u(uint64(want)).to()
		at, err := c.pointerOr(c.do())
		if err != nil {
			return err
		}
		defer f.call(fnEndpointsFree).u(at).run()
		out := f.out()
		for i := uint64(0); f.call(fnEndpointsGet).u(at).u(i).u(out).run() == statusOK; i++ {
			r := f.read(out)
			e := Endpoint{Origin: r.text(), Root: r.text(), Repository: r.text(), NS: r.text(), Provenance: r.text()}
			e.Capabilities, e.Profile, e.Mirror = Capability(r.u32()), ProfileID(r.u32()), r.u32() == 1
			// What the core puts round the rest of every URL here.
			const rest = "manifests/0"
			url, err := f.call(fnEndpointsUrl).u(at).u(i).text(rest).space()
			if err != nil {
				return err
			}
			e.prefix, e.suffix, _ = strings.Cut(string(url), rest)
			all = append(all, e)
		}
		return nil
	})
	return all, err
}
