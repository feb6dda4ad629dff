// Package transport is an http.RoundTripper that shows one identity on every hop between a builder and an OCI registry, and
// nowhere else.
//
//	agent, err := regauth.NewAgent(config)
//	client := &http.Client{Transport: transport.New(agent, transport.Options{})}
//	answer, err := client.Get("https://reg.example/v2/app/manifests/latest")
//
// It fetches tokens by itself, asks the core about every hop and every address, and keeps one http.Transport for each TLS
// profile, with HTTP/2. Redirects are the client's to follow: the chain is read from http.Request.Response. Bodies are
// streamed and never touched. What a request may be sent is decided by the core, and nothing here.
package transport

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"time"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// Options of a Transport; the zero value is good.
type Options struct {
	// Credentials looks up what the configuration does not hold; nil: credential helpers are run, and nothing else is found.
	// validUntil may be zero.
	Credentials func(ctx context.Context, query *regauth.Query) (found regauth.Credentials, validUntil time.Time, err error)
	// Proxy gives the proxy of a request; nil: http.ProxyFromEnvironment.
	Proxy func(*http.Request) (*url.URL, error)
	// Dialer makes connections, to addresses that the core allowed; nil: one with a limit of 30 s.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
	// Resolver looks names up; nil: net.DefaultResolver.
	Resolver *net.Resolver
	// Configure changes each new http.Transport, such as its limits of connections. Its TLS and dial functions are not for
	// others to set.
	Configure func(*http.Transport)
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Explain is given the transcript of each flow when it is over; nil: nobody is. It holds no secret.
	Explain func(request *http.Request, transcript string)
}

// Transport is an http.RoundTripper for one agent.
type Transport struct {
	agent   *regauth.Agent
	options Options
	lookup  func(ctx context.Context, host string) ([]netip.Addr, error)
	pools   pools
	// open are hosts that answered without a token.
	open sync.Map
}

// New makes one for this agent, which stays the caller's to close.
func New(agent *regauth.Agent, options Options) *Transport {
	if options.Proxy == nil {
		options.Proxy = http.ProxyFromEnvironment
	}
	if options.Dialer == nil {
		options.Dialer = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	}
	if options.Resolver == nil {
		options.Resolver = net.DefaultResolver
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	lookup := func(ctx context.Context, host string) ([]netip.Addr, error) {
		return options.Resolver.LookupNetIP(ctx, "ip", host)
	}
	return &Transport{agent: agent, options: options, lookup: lookup}
}

// CloseIdleConnections closes those of all profiles.
func (t *Transport) CloseIdleConnections() { t.pools.closeIdle() }

// hopKey is the context key of a hop that a program names: see WithHop.
type hopKey struct{}

// WithHop says what the URL of requests is that are made with this context: one that a server named, the location of an
// upload (HopUpload), a page of a list (HopRegistry) or a layer URL of a manifest (HopLayer), where by is the response or
// the registry's origin that named it. Without it a request is anchored at the origin of its own URL.
func WithHop(ctx context.Context, hop regauth.Hop, by Named) context.Context {
	return context.WithValue(ctx, hopKey{}, named{hop, by})
}

// Named is who named a URL: NamedBy or NamedByRegistry.
type Named struct {
	response *http.Response
	registry string
}

// NamedBy is a response of this transport, in whose body or header fields the URL stood.
func NamedBy(response *http.Response) Named { return Named{response: response} }

// NamedByRegistry is the origin of a registry, where the response is not at hand any more.
func NamedByRegistry(origin string) Named { return Named{registry: origin} }

type named struct {
	hop regauth.Hop
	by  Named
}

// RoundTrip implements http.RoundTripper. Errors of the core are *regauth.Error.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	body := newBody(request)
	response, err := t.roundTrip(request, body)
	if err != nil {
		body.close()
		return nil, err
	}
	return response, nil
}

func (t *Transport) roundTrip(request *http.Request, body *body) (*http.Response, error) {
	for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
		if request.Header.Get(name) != "" {
			return nil, &regauth.Error{
				Fault: regauth.FaultLocal, Kind: regauth.ErrorField, What: "the request has a field " + name + " of its own",
				Remedy: "Leave it out: the transport sets what may be sent, on each hop.",
			}
		}
	}
	if body.there() {
		// Uploads get their token before the first body byte.
		if err := t.prepare(request); err != nil {
			return nil, err
		}
	}
	flow, err := t.flow(request)
	if err != nil {
		return nil, err
	}
	defer flow.Close()
	return t.drive(request, flow, body)
}

// prepare fetches the token for a request with a body, where there is none: by a request without one.
func (t *Transport) prepare(request *http.Request) error {
	if _, warm := t.agent.Authorize(nil, t.options.Now(), request.Method, request.URL.String()); warm {
		return nil
	}
	if _, open := t.open.Load(request.URL.Host); open {
		return nil
	}
	if request.Response != nil || request.Context().Value(hopKey{}) != nil {
		// Where it goes was named by a server: the registry, which has asked for a token before.
		return nil
	}
	origin, err := regauth.ParseOrigin(request.URL.String())
	if err != nil {
		return err
	}
	ping, err := http.NewRequestWithContext(request.Context(), http.MethodGet, origin+"/v2/", nil)
	if err != nil {
		return err
	}
	flow, err := t.agent.Request(ping.Method, ping.URL.String())
	if err != nil {
		return err
	}
	defer flow.Close()
	scopes, _ := regauth.ScopesNeeded(request.Method, request.URL.RequestURI())
	for _, scope := range scopes {
		if err := flow.Scope(scope); err != nil {
			return err
		}
	}
	response, err := t.drive(ping, flow, newBody(ping))
	if err != nil {
		return err
	}
	discard(response)
	if _, warm := t.agent.Authorize(nil, t.options.Now(), request.Method, request.URL.String()); !warm && response.StatusCode == http.StatusOK {
		// It asks for nothing. If that changes, a body that cannot begin anew ends with an error that says so.
		t.open.Store(request.URL.Host, nil)
	}
	return nil
}

// flow makes the flow of a request, with the chain that it comes from.
func (t *Transport) flow(request *http.Request) (*regauth.Flow, error) {
	url := request.URL.String()
	var flow *regauth.Flow
	var err error
	switch from, ok := request.Context().Value(hopKey{}).(named); {
	case request.Response != nil:
		flow, err = t.referred(request.Response, regauth.HopRedirect, request.Method, url)
	case ok && from.by.response != nil:
		flow, err = t.referred(from.by.response, from.hop, request.Method, url)
	case ok:
		var by *regauth.Referrer
		if by, err = regauth.NewReferrer(from.by.registry); err == nil {
			defer by.Close()
			flow, err = t.agent.Referred(by, from.hop, request.Method, url)
		}
	default:
		flow, err = t.agent.Request(request.Method, url)
	}
	if err != nil {
		return nil, err
	}
	if err := flow.Redirects(regauth.RedirectsHost); err != nil {
		flow.Close()
		return nil, err
	}
	return flow, nil
}

// referred makes a flow for a URL that stood in a response. The chain is made anew, from its first request on: flows that
// are never sent know where they would have been.
func (t *Transport) referred(response *http.Response, hop regauth.Hop, method, url string) (*regauth.Flow, error) {
	before, err := t.flow(response.Request)
	if err != nil {
		return nil, err
	}
	defer before.Close()
	by, err := before.Referrer()
	if err != nil {
		return nil, err
	}
	defer by.Close()
	return t.agent.Referred(by, hop, method, url)
}

// drive does what a flow says until it is over.
func (t *Transport) drive(request *http.Request, flow *regauth.Flow, body *body) (*http.Response, error) {
	if t.options.Explain != nil {
		defer func() { t.options.Explain(request, flow.Explain()) }()
	}
	ctx := request.Context()
	var response *http.Response
	for {
		step, err := flow.Poll(t.options.Now())
		if err != nil {
			discard(response)
			return nil, err
		}
		if step.Kind == regauth.StepDone {
			response.Request = request
			return response, nil
		}
		discard(response)
		response = nil
		switch step.Kind {
		case regauth.StepSend:
			response, err = t.send(request, flow, step.Send, body)
		case regauth.StepCredentials:
			err = t.credentials(ctx, flow, step.Query)
		case regauth.StepWait:
			err = flow.Wait(ctx, t.options.Now(), step)
		default:
			return nil, step.Err
		}
		if err != nil {
			return nil, err
		}
	}
}

func (t *Transport) credentials(ctx context.Context, flow *regauth.Flow, query *regauth.Query) error {
	if t.options.Credentials != nil {
		found, until, err := t.options.Credentials(ctx, query)
		if err != nil {
			return flow.HelperFailed(t.options.Now(), err.Error())
		}
		return flow.Credentials(t.options.Now(), found, until)
	}
	if query.Helper == "" {
		return flow.Credentials(t.options.Now(), regauth.Credentials{}, time.Time{})
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "docker-credential-"+query.Helper, "get")
	command.Stdin = strings.NewReader(query.HelperURL)
	output := &limited{left: 1 << 20}
	command.Stdout = output
	err := command.Run()
	if _, ran := err.(*exec.ExitError); err != nil && (!ran || ctx.Err() != nil) {
		return flow.HelperFailed(t.options.Now(), err.Error())
	}
	return flow.HelperOutput(t.options.Now(), err == nil, output.bytes)
}

// limited keeps so many bytes and no more.
type limited struct {
	bytes []byte
	left  int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.bytes, l.left = append(l.bytes, p[:n]...), l.left-n
	return len(p), nil
}
