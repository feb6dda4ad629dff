package regauth

import (
	"runtime"
	"sync"
	"time"
)

// An object is a pointer of the ABI with the function that frees it. It is freed once: by Close, or when what holds it
// was collected; a call that is inside holds it until it is over.
type object struct {
	mu      sync.RWMutex
	at      uint64
	free    function
	cleanup runtime.Cleanup
}

// newObject makes the object of holder, which frees it if nobody calls Close. Callers keep holder alive.
func newObject[T any](holder *T, at uint64, free function) *object {
	o := &object{at: at, free: free}
	o.cleanup = runtime.AddCleanup(holder, (*object).close, o)
	return o
}

func (o *object) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.at == 0 {
		return
	}
	o.cleanup.Stop()
	_ = o.use(func(f *frame) error {
		f.call(o.free).u(o.at).run()
		f.m.wakeAll()
		return nil
	})
	o.at = 0
}

// taken is for a function of the ABI that takes the object: it is not freed any more.
func (o *object) taken() {
	o.at = 0
	o.cleanup.Stop()
}

// exclusively calls body with an object that takes one call at a time.
func (o *object) exclusively(body func(f *frame, at uint64) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.with(body)
}

// shared calls body with an object that takes any number of calls at once.
func (o *object) shared(body func(f *frame, at uint64) error) error {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.with(body)
}

func (o *object) with(body func(f *frame, at uint64) error) error {
	if o.at == 0 {
		return ErrClosed
	}
	return o.use(func(f *frame) error { return body(f, o.at) })
}

// use gives a frame of the machine that the object lives in.
func (o *object) use(body func(*frame) error) error {
	if o.free >= firstServed {
		return serve(body)
	}
	return use(body)
}

// millis is a time as the ABI has it: Unix milliseconds.
func millis(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixMilli(), 0))
}

func fromMillis(ms uint64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	// An end that the library does not know is farther than any that time has.
	return time.UnixMilli(int64(min(ms, 1<<53)))
}
