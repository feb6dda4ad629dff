package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/auth"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	orasregistry "oras.land/oras-go/v2/registry"
	orasauth "oras.land/oras-go/v2/registry/remote/auth"
)

const (
	host     = "registry.example"
	realm    = `Bearer realm="https://registry.example/token",service="registry.example"`
	manifest = "https://registry.example/v2/team/app/manifests/1"
)

var token = strings.Repeat("x", 900)

// registry answers without a network: a challenge, tokens, and everything that has one.
type registry struct {
	tokens  atomic.Int64
	delay   time.Duration
	answers string
}

func newRegistry() *registry {
	return &registry{answers: fmt.Sprintf(
		`{"token":%q,"access_token":%q,"expires_in":3000,"issued_at":%q}`, token, token, time.Now().UTC().Format(time.RFC3339))}
}

func (r *registry) RoundTrip(request *http.Request) (*http.Response, error) {
	response := &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: request,
	}
	switch {
	case request.URL.Path == "/token":
		r.tokens.Add(1)
		time.Sleep(r.delay)
		response.Body = io.NopCloser(strings.NewReader(r.answers))
		response.ContentLength = int64(len(r.answers))
	case request.Header.Get("Authorization") == "":
		response.StatusCode, response.Status = http.StatusUnauthorized, "401 Unauthorized"
		response.Header.Set("WWW-Authenticate", realm)
	}
	return response, nil
}

func get(ctx context.Context, url string) *http.Request {
	return must(http.NewRequestWithContext(ctx, http.MethodGet, url, nil))
}

func headers() []http.Header {
	file := must(os.Open(os.Args[1]))
	defer file.Close()
	var all []http.Header
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var vector struct{ Headers []string }
		if err := json.Unmarshal(lines.Bytes(), &vector); err != nil {
			panic(err)
		}
		all = append(all, http.Header{"Www-Authenticate": vector.Headers[:1]})
	}
	return all
}

// challenge measures the one parser that can be called: those of go-containerregistry and oras-go are internal.
func challenge(_ []string, times int) cost {
	all := headers()
	spent := measure(times, func() {
		for _, header := range all {
			runtime.KeepAlive(auth.ParseAuthHeader(header))
		}
	})
	return cost{spent.Figure / float64(len(all)), spent.Allocations / float64(len(all))}
}

func containerd(r *registry) (docker.Authorizer, context.Context) {
	authorizer := docker.NewDockerAuthorizer(
		docker.WithAuthClient(&http.Client{Transport: r}),
		docker.WithAuthCreds(func(string) (string, string, error) { return "robot", "p", nil }),
	)
	ctx := docker.ContextWithAppendPullRepositoryScope(context.Background(), "team/app")
	request := get(ctx, manifest)
	response := must(r.RoundTrip(request))
	if err := authorizer.AddResponses(ctx, []*http.Response{response}); err != nil {
		panic(err)
	}
	return authorizer, ctx
}

func ggcr(r *registry) http.RoundTripper {
	registry := must(name.NewRegistry(host))
	basic := authn.FromConfig(authn.AuthConfig{Username: "robot", Password: "p"})
	return must(transport.NewWithContext(context.Background(), registry, basic, r, []string{"repository:team/app:pull"}))
}

func oras(r *registry) (*orasauth.Client, context.Context) {
	client := &orasauth.Client{
		Client: &http.Client{Transport: r}, Cache: orasauth.NewCache(),
		Credential:           orasauth.StaticCredential(host, orasauth.Credential{Username: "robot", Password: "p"}),
		BlockedRealmPrefixes: []netip.Prefix{},
	}
	reference := orasregistry.Reference{Registry: host, Repository: "team/app"}
	return client, orasauth.AppendRepositoryScope(context.Background(), reference, "pull")
}

// authorize measures a request for which there is a token, without what a client that adds none would spend.
func authorize(arguments []string, times int) cost {
	r := newRegistry()
	switch arguments[0] {
	case "containerd":
		authorizer, ctx := containerd(r)
		request := get(ctx, manifest)
		one := func() {
			if err := authorizer.Authorize(ctx, request); err != nil {
				panic(err)
			}
		}
		one()
		return measure(times, one)
	case "ggcr":
		return less(trips(ggcr(r), times), trips(r, times))
	default:
		client, ctx := oras(r)
		do := func(do func(*http.Request) (*http.Response, error), authorization string) cost {
			request := get(ctx, manifest)
			if authorization != "" {
				request.Header.Set("Authorization", authorization)
			}
			must(do(request))
			return measure(times, func() { must(do(request)).Body.Close() })
		}
		return less(do(client.Do, ""), do(client.Client.Do, "Bearer "+token))
	}
}

func trips(t http.RoundTripper, times int) cost {
	request := get(context.Background(), manifest)
	request.Header.Set("User-Agent", "bench")
	must(t.RoundTrip(request))
	return measure(times, func() { must(t.RoundTrip(request)).Body.Close() })
}

// answer measures the decoding alone, into the type and by the way that containerd uses.
func answer(_ []string, times int) cost {
	text := newRegistry().answers
	return measure(times, func() {
		var response auth.FetchTokenResponse
		if err := json.NewDecoder(strings.NewReader(text)).Decode(&response); err != nil {
			panic(err)
		}
		runtime.KeepAlive(response)
	})
}

func liveHeap() uint64 {
	var stats runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// heap measures what a cached token keeps, each of them a string of its own.
func heap(arguments []string, times int) cost {
	r := newRegistry()
	before := liveHeap()
	var keep any
	switch arguments[0] {
	case "containerd":
		authorizer, _ := containerd(r)
		for number := range times {
			ctx := docker.ContextWithAppendPullRepositoryScope(context.Background(), fmt.Sprintf("team/app-%d", number))
			if err := authorizer.Authorize(ctx, get(ctx, manifest)); err != nil {
				panic(err)
			}
		}
		keep = authorizer
	default:
		cache := orasauth.NewCache()
		for number := range times {
			scope := fmt.Sprintf("repository:team/app-%d:pull", number)
			fetch := func(context.Context) (string, error) { return strings.Clone(token), nil }
			must(cache.Set(context.Background(), host, orasauth.SchemeBearer, scope, fetch))
		}
		keep = cache
	}
	after := liveHeap()
	runtime.KeepAlive(keep)
	return cost{float64(after-before) / float64(times), 0}
}

// waiters counts the token requests of many requests that begin at once; the token service takes 50 ms. The transport
// of go-containerregistry has its token before the first request, so it is not asked.
func waiters(arguments []string, times int) cost {
	r := newRegistry()
	var one func()
	switch arguments[0] {
	case "containerd":
		authorizer, ctx := containerd(r)
		one = func() {
			if err := authorizer.Authorize(ctx, get(ctx, manifest)); err != nil {
				panic(err)
			}
		}
	default:
		client, ctx := oras(r)
		one = func() { must(client.Do(get(ctx, manifest))).Body.Close() }
	}
	r.tokens.Store(0)
	r.delay = 50 * time.Millisecond
	var group sync.WaitGroup
	for range times {
		group.Go(one)
	}
	group.Wait()
	return cost{float64(r.tokens.Load()), 0}
}
