package regauth

import (
	"crypto/rand"
	"time"
)

// hold keeps an object from being closed until the function that it gives was called. Some take one call at a time.
func (o *object) hold() func() {
	switch o.free {
	case fnSubjectFree, fnAskFree, fnUnsignedFree, fnBundleFree:
		o.mu.Lock()
		return o.mu.Unlock
	default:
		o.mu.RLock()
		return o.mu.RUnlock
	}
}

// serveWith calls body with the addresses of these objects, 0 for nil. Callers give them in one order, so that no two wait
// for each other: guard or issuer, token request, token to be signed, template, peer, subject, policy.
func serveWith(body func(f *frame, at []uint64) error, objects ...*object) error {
	at := make([]uint64, len(objects))
	for i, o := range objects {
		if o == nil {
			continue
		}
		defer o.hold()()
		if at[i] = o.at; o.at == 0 {
			return ErrClosed
		}
	}
	return serve(func(f *frame) error { return body(f, at) })
}

// newServed makes the object of holder, out of others.
func newServed[T any](holder *T, o **object, free function, make func(f *frame, at []uint64) *invocation, of ...*object) (*T, error) {
	err := serveWith(func(f *frame, at []uint64) error {
		c := make(f, at)
		made, err := c.pointerOr(c.do())
		if err == nil {
			*o = newObject(holder, made, free)
		}
		return err
	}, of...)
	if err != nil {
		return nil, err
	}
	return holder, nil
}

// random gives the bytes that the caller wants to be used, or fresh ones.
func random[T [16]byte | [32]byte](given *T) []byte {
	var bytes T
	if given != nil {
		bytes = *given
	}
	switch all := any(&bytes).(type) {
	case *[16]byte:
		return fill(all[:], given == nil)
	case *[32]byte:
		return fill(all[:], given == nil)
	}
	return nil
}

func fill(bytes []byte, fresh bool) []byte {
	if fresh {
		// It never fails: crypto/rand says so.
		_, _ = rand.Read(bytes)
	}
	return bytes
}

// seconds are those of a duration, a part of one counted as one; something that was set stays so.
func seconds(d time.Duration) uint64 {
	if d < 0 {
		return 1
	}
	return uint64((d + time.Second - 1) / time.Second)
}

func flag(set bool) uint32 {
	if set {
		return 1
	}
	return 0
}
