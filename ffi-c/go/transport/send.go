package transport

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"sync"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// attempt is one request that is going out: what its connection is asked about, and what it showed.
type attempt struct {
	flow    *regauth.Flow
	origin  string
	proxied bool

	mu sync.Mutex
	// evidence is that of the connection which was used, or of the one which could not be made.
	evidence *regauth.Evidence
	// used is the connection.
	used *connection
	// refused is whether an address was.
	refused error
}

type attemptKey struct{}

func attemptOf(ctx context.Context) *attempt {
	attempt, _ := ctx.Value(attemptKey{}).(*attempt)
	return attempt
}

// dial asks whether an address may be used.
func (a *attempt) dial(address netip.Addr) error {
	err := a.flow.Dial(address)
	if err != nil {
		a.mu.Lock()
		a.refused = err
		a.mu.Unlock()
	}
	return err
}

func (a *attempt) shows(evidence *regauth.Evidence) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.evidence = evidence
}

// answered is told of an answer: application data came, so that the identity was accepted.
func (a *attempt) answered() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.evidence != nil {
		accepted := *a.evidence
		accepted.Accepted = true
		a.evidence = &accepted
	}
	if a.used != nil {
		a.used.answered.Store(true)
	}
}

// seen is what there is to know.
func (a *attempt) seen() *regauth.Evidence {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.evidence
}

// got is told of the connection before the request is written to it.
func (a *attempt) got(info httptrace.GotConnInfo) {
	used := connectionOf(info.Conn)
	if used == nil {
		return
	}
	a.mu.Lock()
	a.used = used
	if used.evidence != nil {
		a.evidence = used.evidence
	}
	a.mu.Unlock()
	// A connection out of the pool was made for another hop, perhaps of another registry. Nothing can be sent through one
	// that is closed.
	if used.address.IsValid() && a.dial(used.address) != nil {
		used.Close()
	}
}

// send sends what a step says, and gives the answer to the flow. The response is nil where none came.
func (t *Transport) send(request *http.Request, flow *regauth.Flow, out *regauth.Outgoing, body *body) (*http.Response, error) {
	target, err := url.Parse(out.URL)
	if err != nil {
		// The core takes URLs that Go does not.
		return nil, &regauth.Error{
			Fault: regauth.FaultLocal, Hop: out.Hop, Kind: regauth.ErrorURL, Origin: out.Origin,
			What: "Go cannot read a URL: " + err.(*url.Error).Err.Error(), Remedy: "Report it to who runs this server.",
		}
	}
	skip := 0
	for {
		try := &attempt{flow: flow, origin: out.Origin}
		response, pool, err := t.once(request, target, out, body, try, skip)
		var why regauth.Failure
		status := 0
		if err != nil {
			if local, ok := err.(*regauth.Error); ok {
				return nil, local
			}
			if why = failure(request.Context(), err, try); why == 0 {
				return nil, err
			}
		} else {
			status = response.StatusCode
		}
		if pool != nil && repeatable(out, body) {
			if next, again := pool.profile.Retry(try.seen(), why, status); again {
				discard(response)
				if err := flow.Retried(try.seen(), why, status); err != nil {
					return nil, err
				}
				skip = next
				continue
			}
		}
		if err != nil {
			return nil, flow.Failed(t.options.Now(), why, try.seen())
		}
		answer := regauth.Answer{Status: status, Headers: headers(response.Header), TLS: try.seen()}
		if out.AnswerAtMost > 0 {
			if answer.Body, err = read(response, out.AnswerAtMost); err != nil {
				response.Body.Close()
				if why = failure(request.Context(), err, try); why == 0 {
					return nil, err
				}
				return nil, flow.Failed(t.options.Now(), why, try.seen())
			}
		}
		if err := flow.Answer(t.options.Now(), answer); err != nil {
			response.Body.Close()
			return nil, err
		}
		return response, nil
	}
}

// repeatable is whether a request can be sent once more with another identity (RFC 9110 section 9.2.2).
func repeatable(out *regauth.Outgoing, body *body) bool {
	if out.Body == regauth.BodyForm {
		return true
	}
	switch out.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return body.rewinds()
	}
	return false
}

// once makes one attempt, without the first skip identities of the profile.
func (t *Transport) once(request *http.Request, target *url.URL, out *regauth.Outgoing, body *body, try *attempt, skip int) (*http.Response, *pool, error) {
	pool, err := t.pool(out, skip)
	if err != nil {
		return nil, nil, err
	}
	sent := &http.Request{Method: out.Method, URL: target, Host: target.Host, Header: http.Header{}}
	switch out.Body {
	case regauth.BodyApp, regauth.BodyAppAgain:
		if sent.Body, err = body.next(); err != nil {
			return nil, nil, err
		}
		if sent.Body != nil {
			sent.ContentLength = body.length
		}
	case regauth.BodyForm:
		sent.Body, sent.ContentLength = io.NopCloser(bytes.NewReader(out.Form)), int64(len(out.Form))
		sent.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Form)), nil }
	}
	if out.Hop != regauth.HopToken && out.Hop != regauth.HopTokenRedirect {
		sent.Header = request.Header.Clone()
		if sent.Header == nil {
			sent.Header = http.Header{}
		}
		sent.Trailer, sent.TransferEncoding, sent.Close = request.Trailer, request.TransferEncoding, request.Close
	}
	for _, header := range out.Headers {
		sent.Header.Set(header.Name, header.Value)
	}
	proxy, err := t.options.Proxy(sent)
	if err != nil {
		return nil, nil, err
	}
	if proxy != nil {
		try.proxied = true
		if err := try.flow.DialProxied(); err != nil {
			try.refused = err
			return nil, pool, err
		}
	}
	ctx := context.WithValue(request.Context(), attemptKey{}, try)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: try.got})
	response, err := pool.transport.RoundTrip(sent.WithContext(ctx))
	if err == nil {
		try.answered()
	}
	return response, pool, err
}

func headers(fields http.Header) []regauth.Header {
	all := make([]regauth.Header, 0, len(fields))
	for name, values := range fields {
		for _, value := range values {
			all = append(all, regauth.Header{Name: name, Value: value})
		}
	}
	return all
}
