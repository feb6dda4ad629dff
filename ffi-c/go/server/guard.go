// Package server puts a guard in front of a registry's http.Handler and serves its token endpoint: clients are known by their
// certificates, and a stolen token is worth nothing.
//
// Nothing is decided here: a request is handed to the core as it was received, and what the core says is sent. A client
// certificate counts where crypto/tls has verified it (http.Request.TLS.VerifiedChains): [TLSConfig] makes it do so.
package server

import (
	"context"
	"net/http"
	"strings"
	"time"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// Guard is an http.Handler that lets a request through to the registry where its token allows it, and answers all others. It
// has to see what the client sent: a handler outside of it changes neither the path nor the header fields.
type Guard struct {
	// Guard decides.
	Guard *regauth.Guard
	// Registry is what is guarded. It gets no Authorization field, and Allowed says who is let through. It must not be in reach
	// in another way.
	Registry http.Handler
	// Other gets what is no path of the registry API, with no more than it had before; nil: 404.
	Other http.Handler
	// Decided is told of each decision, for a log; may be nil. A reply shows no secret when it is printed.
	Decided func(*http.Request, *regauth.Reply)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

type allowed struct{}

// Allowed says what a guard has let this request of a registry pass by; nil where there was none.
func Allowed(ctx context.Context) *regauth.Reply {
	reply, _ := ctx.Value(allowed{}).(*regauth.Reply)
	return reply
}

func (g *Guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply, err := g.check(r)
	if err != nil {
		fail(w, err)
		return
	}
	if g.Decided != nil {
		g.Decided(r, reply)
	}
	switch {
	case reply.Verdict == regauth.VerdictAllow && r.URL.RequestURI() != r.RequestURI:
		// What the registry would see is not what was looked at: a handler outside of this one has changed it.
		http.Error(w, "the request target was changed before the guard saw it", http.StatusBadRequest)
	case reply.Verdict == regauth.VerdictAllow:
		passed := r.Clone(context.WithValue(r.Context(), allowed{}, reply))
		passed.Header.Del("Authorization")
		g.Registry.ServeHTTP(w, passed)
	case reply.Verdict == regauth.VerdictNotRegistry && g.Other != nil:
		g.Other.ServeHTTP(w, r)
	case reply.Verdict == regauth.VerdictNotRegistry:
		http.NotFound(w, r)
	default:
		send(w, reply)
	}
}

func (g *Guard) check(r *http.Request) (*regauth.Reply, error) {
	peer, err := regauth.PeerOf(r.TLS)
	if err != nil {
		return nil, err
	}
	defer peer.Close()
	return g.Guard.Check(call(r, peer), clock(g.Now))
}

func clock(now func() time.Time) time.Time {
	if now == nil {
		return time.Now()
	}
	return now()
}

// call is a request as it was received.
func call(r *http.Request, peer *regauth.Peer) regauth.Call {
	return regauth.Call{
		Method:        r.Method,
		Target:        r.RequestURI,
		Authorization: r.Header.Values("Authorization"),
		ContentType:   strings.Join(r.Header.Values("Content-Type"), ", "),
		Peer:          peer,
	}
}

func send(w http.ResponseWriter, reply *regauth.Reply) {
	for _, header := range reply.Headers {
		w.Header().Add(header.Name, header.Value)
	}
	w.WriteHeader(reply.Status)
	// A client that is gone needs no answer.
	_, _ = w.Write(reply.Body)
}

// fail answers where nothing was decided, which lets nothing through. Errors of the core hold no secret.
func fail(w http.ResponseWriter, err error) {
	http.Error(w, err.Error(), http.StatusInternalServerError)
}
