package transport

import (
	"net/http"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// Agent is the one that it was made for.
func (t *Transport) Agent() *regauth.Agent { return t.agent }

// Anchored is a RoundTripper for all requests of a client that works with one registry or mirror, whose origin it is given.
// What such a client sends to another origin the registry has named, in a Location or a manifest, and is treated so: nothing
// is shown there that the configuration does not pair.
func (t *Transport) Anchored(origin string) (http.RoundTripper, error) {
	origin, err := regauth.ParseOrigin(origin)
	return anchored{t, origin}, err
}

type anchored struct {
	through *Transport
	origin  string
}

func (a anchored) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Response == nil && request.Context().Value(hopKey{}) == nil {
		// A URL that is none fails in the transport.
		if at, err := regauth.ParseOrigin(request.URL.String()); err == nil && at != a.origin {
			hop := regauth.HopUpload
			if request.Method == http.MethodGet || request.Method == http.MethodHead {
				hop = regauth.HopLayer
			}
			request = request.WithContext(WithHop(request.Context(), hop, NamedByRegistry(a.origin)))
		}
	}
	return a.through.RoundTrip(request)
}
