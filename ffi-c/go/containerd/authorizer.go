package containerd

import (
	"context"
	"net/http"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/errdefs"

	"github.com/regauth/regauth/ffi-c/go/transport"
)

// NewAuthorizer makes an Authorizer for clients that are not ours: they keep their connections to the registry, and tokens
// are fetched through the transport.
func NewAuthorizer(through *transport.Transport) docker.Authorizer { return &authorizer{through} }

type authorizer struct{ through *transport.Transport }

// Authorize sets what is known to be needed; a redirect is not authorized anew.
func (a *authorizer) Authorize(_ context.Context, request *http.Request) error {
	if request.Response != nil {
		return nil
	}
	if value, warm := a.through.Agent().Authorize(nil, time.Now(), request.Method, request.URL.String()); warm {
		request.Header.Set("Authorization", string(value))
	}
	return nil
}

// AddResponses answers the last challenge. The agent keeps the token, and Authorize finds it.
func (a *authorizer) AddResponses(ctx context.Context, responses []*http.Response) error {
	if len(responses) == 0 {
		return errdefs.ErrNotImplemented
	}
	last := responses[len(responses)-1]
	if last.Request.Response != nil {
		// A redirect led there: a challenge of another origin is not for this registry's credentials.
		return errdefs.ErrNotImplemented
	}
	value, err := a.through.Authorization(ctx, transport.Challenge{
		Method: last.Request.Method, URL: last.Request.URL.String(),
		Authorization: last.Request.Header.Get("Authorization"), Header: last.Header,
		Scopes: docker.GetTokenScopes(ctx, nil),
	})
	if err == nil && value == "" {
		return errdefs.ErrNotImplemented
	}
	return err
}
