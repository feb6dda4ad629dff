package transport

import (
	"errors"
	"io"
	"net/http"
	"sync"

	regauth "github.com/regauth/regauth/ffi-c/go"
)

// body is the application's, which is sent by none, one or more attempts and closed once.
type body struct {
	first  io.ReadCloser
	again  func() (io.ReadCloser, error)
	length int64
	used   bool
	once   sync.Once
}

func newBody(request *http.Request) *body {
	if request.Body == nil || request.Body == http.NoBody {
		return &body{}
	}
	return &body{first: request.Body, again: request.GetBody, length: request.ContentLength}
}

func (b *body) there() bool { return b.first != nil }

// rewinds is whether it can be sent once more.
func (b *body) rewinds() bool { return !b.there() || !b.used || b.again != nil }

func (b *body) close() {
	if b.there() {
		b.once.Do(func() { b.first.Close() })
	}
}

// next gives the body from its start.
func (b *body) next() (io.ReadCloser, error) {
	if !b.there() {
		return nil, nil
	}
	if !b.used {
		b.used = true
		return onceCloser{b}, nil
	}
	if b.again == nil {
		return nil, &regauth.Error{
			Fault: regauth.FaultLocal, Kind: regauth.ErrorBodyGone,
			What:   "the request has to be sent again, and its body cannot be read twice",
			Remedy: "Set GetBody of the request, or make a request without a body to this repository first.",
		}
	}
	return b.again()
}

type onceCloser struct{ b *body }

func (o onceCloser) Read(p []byte) (int, error) { return o.b.first.Read(p) }

func (o onceCloser) Close() error {
	o.b.close()
	return nil
}

// discard ends with an answer that is not the application's. A short rest is read, so that the connection can be used again.
func discard(response *http.Response) {
	if response == nil {
		return
	}
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	response.Body.Close()
}

// read reads the body that a flow wants: all of it, or one byte more than it takes.
func read(response *http.Response, atMost int) ([]byte, error) {
	bytes, err := io.ReadAll(io.LimitReader(response.Body, int64(atMost)+1))
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return bytes, err
}
