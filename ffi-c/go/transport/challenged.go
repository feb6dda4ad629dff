package transport

import (
	"context"
	"net/http"
	"strings"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// Challenge is a 401 that a registry answered to a request which some other client sent.
type Challenge struct {
	// Method and URL are those of the request.
	Method, URL string
	// Authorization is what it carried; empty where it carried none.
	Authorization string
	// Header are the header fields of the answer; empty where there was none yet.
	Header http.Header
	// Scopes are those that the client knows it will need, beside those of the request.
	Scopes []string
}

// Authorization gives the Authorization value for another attempt of that request, which the other client then sends: a
// token is fetched as it is for requests of this transport, with the identity and the credentials of the registry, from
// where the hop policy lets them go. Empty: the registry's answer stands. The value is secret.
func (t *Transport) Authorization(ctx context.Context, challenge Challenge) (string, error) {
	request, err := http.NewRequestWithContext(ctx, challenge.Method, challenge.URL, nil)
	if err != nil {
		return "", err
	}
	flow, err := t.agent.Request(challenge.Method, challenge.URL)
	if err != nil {
		return "", err
	}
	defer flow.Close()
	if t.options.Explain != nil {
		defer func() { t.options.Explain(request, flow.Explain()) }()
	}
	for _, scope := range challenge.Scopes {
		if err := flow.Scope(scope); err != nil {
			return "", err
		}
	}
	answered := false
	for {
		step, err := flow.Poll(t.options.Now())
		if err != nil {
			return "", err
		}
		switch step.Kind {
		case regauth.StepSend:
			if out := step.Send; out.Hop != regauth.HopRegistry {
				var response *http.Response
				if response, err = t.send(request, flow, out, &body{}); err == nil {
					discard(response)
				}
				break
			}
			value := authorization(step.Send)
			if answered || (value != challenge.Authorization && value != "") {
				return value, nil
			}
			answered = true
			t.locate(ctx, flow, step.Send)
			err = flow.Answer(t.options.Now(), regauth.Answer{Status: http.StatusUnauthorized, Headers: headers(challenge.Header)})
		case regauth.StepCredentials:
			err = t.credentials(ctx, flow, step.Query)
		case regauth.StepWait:
			err = flow.Wait(ctx, t.options.Now(), step)
		case regauth.StepDone:
			return "", nil
		default:
			err = step.Err
		}
		if err != nil {
			return "", err
		}
	}
}

// locate tells the flow where the registry is, as a request to it would: how local its token endpoint may be depends on it.
func (t *Transport) locate(ctx context.Context, flow *regauth.Flow, out *regauth.Outgoing) {
	addresses, err := t.lookup(ctx, out.Host)
	if err != nil {
		// This machine need not know the registry; it then counts as public.
		return
	}
	for _, ip := range addresses {
		if flow.Dial(ip.Unmap()) == nil {
			return
		}
	}
}

func authorization(out *regauth.Outgoing) string {
	for _, header := range out.Headers {
		if strings.EqualFold(header.Name, "Authorization") {
			return header.Value
		}
	}
	return ""
}
