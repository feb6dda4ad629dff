package regauth

import (
	"sync/atomic"
	"time"
)

// Agent holds configuration, tokens and remembered challenges of one program, for any number of goroutines at once. Its
// tokens are fetched once, however many flows need them.
type Agent struct {
	o    *object
	keys atomic.Pointer[signers]
}

// NewAgent makes an agent with this configuration, which it copies.
func NewAgent(config *Config) (*Agent, error) {
	defer keep(config)
	agent := new(Agent)
	err := config.o.exclusively(func(f *frame, at uint64) error {
		c := f.call(fnAgentNew).u(at).to()
		if err := f.kept(c.run(), fnConfigError, at); err != nil {
			return err
		}
		agent.o = newObject(agent, c.pointer(), fnAgentFree)
		keys := config.keys()
		agent.keys.Store(&keys)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return agent, nil
}

// Replace replaces the configuration: new certificates, new passwords. A flow keeps the one it began with; a connection
// made from now on uses the newest profile of its origin (Newest). On an error nothing was replaced.
func (a *Agent) Replace(config *Config) error {
	defer keep(config)
	defer keep(a)
	a.o.mu.RLock()
	defer a.o.mu.RUnlock()
	if a.o.at == 0 {
		return ErrClosed
	}
	return config.o.exclusively(func(f *frame, at uint64) error {
		// Before the core has it, since flows ask for the new ones from then on; the old ones stay for flows that have them.
		keys := config.keys()
		old := a.keys.Load()
		for name, identity := range *old {
			if keys[name] == nil {
				keys[name] = identity
			}
		}
		a.keys.Store(&keys)
		err := f.kept(f.call(fnAgentReplace).u(a.o.at).u(at).run(), fnConfigError, at)
		if err != nil {
			a.keys.Store(old)
		}
		return err
	})
}

// Close frees it; its flows go on.
func (a *Agent) Close() { a.o.close() }

// Authorize is the warm path: it appends the whole Authorization value of this request to dst, where nothing needs to be
// asked. false: make a flow. The value is secret.
func (a *Agent) Authorize(dst []byte, now time.Time, method, url string) ([]byte, bool) {
	m, err := host()
	if err != nil {
		return dst, false
	}
	a.o.mu.RLock()
	defer a.o.mu.RUnlock()
	if a.o.at == 0 {
		return dst, false
	}
	dst, s := m.authorize(dst, a.o.at, millis(now), method, url)
	keep(a)
	return dst, s == statusOK
}

// Request makes a flow for one request, anchored at the origin of its URL.
func (a *Agent) Request(method, url string) (*Flow, error) {
	defer keep(a)
	flow := new(Flow)
	err := a.o.shared(func(f *frame, at uint64) error {
		c := f.call(fnAgentRequest).u(at).text(method).text(url).to().failure()
		return flow.made(c.pointerOr(c.do()))
	})
	if err != nil {
		return nil, err
	}
	return flow, nil
}

// Referred makes a flow for a URL that a server named: an upload location or a page of a list (HopRegistry or HopUpload), a
// layer URL of a manifest (HopLayer), a redirect where the program follows them itself (HopRedirect). A URL that breaks the
// rules fails at the first poll, as policy.
func (a *Agent) Referred(by *Referrer, hop Hop, method, url string) (*Flow, error) {
	defer keep(a)
	defer keep(by)
	flow := new(Flow)
	by.o.mu.RLock()
	defer by.o.mu.RUnlock()
	if by.o.at == 0 {
		return nil, ErrClosed
	}
	err := a.o.shared(func(f *frame, at uint64) error {
		c := f.call(fnAgentReferred).u(at).u(by.o.at).u(uint64(hop)).text(method).text(url).to().failure()
		return flow.made(c.pointerOr(c.do()))
	})
	if err != nil {
		return nil, err
	}
	return flow, nil
}

// Due makes a flow that renews a token which is in use and about to run out, for programs with a background task; ask until
// it is nil, once a second.
func (a *Agent) Due(now time.Time) *Flow {
	defer keep(a)
	flow := new(Flow)
	err := a.o.shared(func(f *frame, at uint64) error {
		c := f.call(fnAgentDue).u(at).u(millis(now)).to()
		return flow.made(c.pointerOr(c.do()))
	})
	if err != nil {
		return nil
	}
	return flow
}

// Profile gives the profile that an id names, for as long as a flow that was given it lives.
func (a *Agent) Profile(id ProfileID) (*Profile, error) {
	defer keep(a)
	var profile *Profile
	err := a.o.shared(func(f *frame, at uint64) error {
		c := f.call(fnAgentProfile).u(at).u(uint64(id)).to()
		return a.profile(f, c, &profile)
	})
	return profile, err
}

// Newest gives the profile for a new connection, that of the newest configuration in the place of this one, and its id, by
// which the connection is pooled.
func (a *Agent) Newest(id ProfileID) (ProfileID, *Profile, error) {
	defer keep(a)
	var profile *Profile
	err := a.o.shared(func(f *frame, at uint64) error {
		c := f.call(fnAgentNewest).u(at).u(uint64(id)).to()
		number := c.result
		err := a.profile(f, c.to(), &profile)
		id = ProfileID(uint32(f.wordAt(number)))
		return err
	})
	return id, profile, err
}

func (a *Agent) profile(f *frame, c *invocation, profile **Profile) error {
	at, err := c.pointerOr(c.do())
	if err == nil {
		*profile, err = newProfile(f, at, *a.keys.Load())
	}
	return err
}

// Referrer is where a URL came from: the registry, and where the request for it has been.
type Referrer struct{ o *object }

// NewReferrer is one for a registry whose answer is not at hand any more: for a layer URL out of a stored manifest.
func NewReferrer(origin string) (*Referrer, error) {
	referrer := new(Referrer)
	err := use(func(f *frame) error {
		c := f.call(fnReferrerRegistry).text(origin).to().failure()
		return referrer.made(c.pointerOr(c.do()))
	})
	if err != nil {
		return nil, err
	}
	return referrer, nil
}

func (r *Referrer) made(at uint64, err error) error {
	if err == nil {
		r.o = newObject(r, at, fnReferrerFree)
	}
	return err
}

// Close frees it.
func (r *Referrer) Close() { r.o.close() }
