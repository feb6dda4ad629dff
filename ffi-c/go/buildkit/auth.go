// Package buildkit is the part of a BuildKit client that answers the daemon's questions about registries: a session
// attachable for moby.filesync.v1.Auth. The daemon (buildkitd) shows its own certificate to the registry and asks its client
// for the tokens; this one fetches them with the identity and the credentials that the agent has for that registry.
//
//	client.Solve(ctx, nil, client.SolveOpt{Session: []session.Attachable{buildkit.New(through)}, ...}, status)
//
// where client is github.com/moby/buildkit/client and through a transport of package transport.
package buildkit

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"

	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	regauth "github.com/regauth/regauth/ffi-c/go"
	"github.com/regauth/regauth/ffi-c/go/transport"
)

// New makes an attachable. Passwords are never lent to the daemon, so that registries which want Basic themselves, without
// tokens, cannot be used with it.
func New(through *transport.Transport) session.Attachable {
	a := &attachable{through: through}
	// Since Go 1.24 it does not fail.
	_, _ = rand.Read(a.seed[:])
	return a
}

type attachable struct {
	auth.UnimplementedAuthServer
	through *transport.Transport
	// seed makes keys that no other session can prove to have, so that the daemon shares no token among clients.
	seed [32]byte
}

// Register implements session.Attachable.
func (a *attachable) Register(server *grpc.Server) { auth.RegisterAuthServer(server, a) }

// lifetime is how many seconds the daemon may keep a token. The agent knows how long it lives, renews it in time and answers
// at once; the daemon does better to ask again.
const lifetime = 5

// FetchToken fetches a token for the challenge that the registry gave to the daemon.
func (a *attachable) FetchToken(ctx context.Context, request *auth.FetchTokenRequest) (*auth.FetchTokenResponse, error) {
	challenge, err := challengeOf(request)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	image, err := regauth.ParseReference(request.Host + "/any")
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	value, err := a.through.Authorization(ctx, transport.Challenge{
		Method: http.MethodGet, URL: image.Origin + "/v2/",
		Header: http.Header{"Www-Authenticate": {challenge}}, Scopes: strings.Fields(strings.Join(request.Scopes, " ")),
	})
	if err != nil {
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	scheme, token, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, status.Errorf(codes.PermissionDenied, "regauth: there is no token for %s", request.Host)
	}
	return &auth.FetchTokenResponse{Token: token, ExpiresIn: lifetime}, nil
}

// challengeOf writes the challenge that the request was made of (RFC 9110 section 11.6.1).
func challengeOf(request *auth.FetchTokenRequest) (string, error) {
	if strings.ContainsAny(request.Realm+request.Service, "\"\\\r\n\x00") {
		return "", errors.New("regauth: the daemon names a realm or a service with characters that no challenge has")
	}
	challenge := `Bearer realm="` + request.Realm + `"`
	if request.Service != "" {
		challenge += `,service="` + request.Service + `"`
	}
	return challenge, nil
}

// Credentials lends none.
func (a *attachable) Credentials(context.Context, *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	return &auth.CredentialsResponse{}, nil
}

// GetTokenAuthority says that tokens are fetched here, and with which key the daemon can tell.
func (a *attachable) GetTokenAuthority(_ context.Context, request *auth.GetTokenAuthorityRequest) (*auth.GetTokenAuthorityResponse, error) {
	return &auth.GetTokenAuthorityResponse{PublicKey: a.key(request.Host, request.Salt)[32:]}, nil
}

// VerifyTokenAuthority proves to have the key: a signature in front of what is signed, as NaCl's crypto_sign does it.
func (a *attachable) VerifyTokenAuthority(_ context.Context, request *auth.VerifyTokenAuthorityRequest) (*auth.VerifyTokenAuthorityResponse, error) {
	signature := ed25519.Sign(a.key(request.Host, request.Salt), request.Payload)
	return &auth.VerifyTokenAuthorityResponse{Signed: append(signature, request.Payload...)}, nil
}

func (a *attachable) key(host string, salt []byte) ed25519.PrivateKey {
	mac := hmac.New(sha256.New, a.seed[:])
	mac.Write([]byte(host))
	mac.Write([]byte{0})
	mac.Write(salt)
	return ed25519.NewKeyFromSeed(mac.Sum(nil))
}
