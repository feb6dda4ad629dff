package regauth

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Flow is one request of the application, from the first attempt to the answer that is the application's. One call at a
// time; calls from several goroutines wait for each other.
//
//	for {
//		step, err := flow.Poll(time.Now())
//		switch step.Kind {
//		case regauth.StepSend:        // send exactly step.Send with the profile it names; then flow.Answer or flow.Failed
//		case regauth.StepCredentials: // look step.Query up; then flow.Credentials
//		case regauth.StepWait:        // flow.Wait(ctx, time.Now(), step)
//		case regauth.StepDone:        // the last answer is the application's
//		case regauth.StepFailed:      // step.Err
//		}
//	}
type Flow struct{ o *object }

// Redirects says who follows them.
type Redirects uint32

// Who follows redirects.
const (
	// RedirectsCore: the flow does.
	RedirectsCore Redirects = 0
	// RedirectsHost: the program's client does. A redirect is then the application's answer, and each further hop a flow of
	// its own, made by Agent.Referred.
	RedirectsHost Redirects = 1
)

func (w *Flow) made(at uint64, err error) error {
	if err == nil {
		w.o = newObject(w, at, fnFlowFree)
	}
	return err
}

// Close frees it. What it was doing for others passes to one of them.
func (w *Flow) Close() { w.o.close() }

func (w *Flow) call(body func(f *frame, at uint64) error) error {
	defer keep(w)
	return w.o.exclusively(body)
}

// answered is a call that may wake other flows.
func (w *Flow) answered(body func(f *frame, at uint64) *invocation) error {
	return w.call(func(f *frame, at uint64) error {
		s := body(f, at).run()
		f.m.wakeAll()
		return s.err()
	})
}

// Scope adds a scope that the application knows it will need, before the first poll.
func (w *Flow) Scope(scope string) error {
	return w.call(func(f *frame, at uint64) error { return f.call(fnFlowScope).u(at).text(scope).run().err() })
}

// Redirects says who follows redirects, before the first poll.
func (w *Flow) Redirects(who Redirects) error {
	return w.call(func(f *frame, at uint64) error { return f.call(fnFlowRedirects).u(at).u(uint64(who)).run().err() })
}

// Poll says what to do next: the same until it is answered. What a step holds is the caller's.
func (w *Flow) Poll(now time.Time) (Step, error) {
	var step Step
	err := w.call(func(f *frame, at uint64) error {
		out := f.out()
		s := f.call(fnFlowPoll).u(at).u(millis(now)).u(out).run()
		if s != statusOK {
			return s.err()
		}
		step = f.readStep(out)
		if step.Kind == StepFailed {
			step.Err, _ = f.kept(statusFailed, fnFlowError, at).(*Error)
		}
		f.m.wakeAll()
		return nil
	})
	return step, err
}

// Dial asks whether this address may be used for the request of the current step. Ask for each address before it is used,
// and use that one: a name may resolve to another the next time. An error: skip it; when none is left, Failed with
// FailureAddressRefused. The flow goes on.
func (w *Flow) Dial(address netip.Addr) error {
	return w.call(func(f *frame, at uint64) error {
		return f.kept(f.call(fnFlowDial).u(at).data(address.Unmap().AsSlice()).run(), fnFlowError, at)
	})
}

// DialProxied asks the same for a proxy that resolves the name.
func (w *Flow) DialProxied() error {
	return w.call(func(f *frame, at uint64) error {
		return f.kept(f.call(fnFlowDialProxied).u(at).run(), fnFlowError, at)
	})
}

// Answer is what a server said.
type Answer struct {
	Status int
	// Headers are the header fields; one that was sent twice is there twice.
	Headers []Header
	// Body is the body, where the step wanted it.
	Body []byte
	// URL is the effective URL, where the program's client has followed redirects by itself.
	URL string
	// TLS is what the connection showed; nil where that is not known.
	TLS *Evidence
}

// Answer answers StepSend. An answer that was not asked for ends the flow.
func (w *Flow) Answer(now time.Time, answer Answer) error {
	return w.answered(func(f *frame, at uint64) *invocation {
		r := f.record().u32(uint32(answer.Status)).u32(0).headers(answer.Headers)
		r.data(answer.Body).text(answer.URL).word(f.evidence(answer.TLS))
		return f.call(fnFlowAnswer).u(at).u(millis(now)).u(r.put())
	})
}

// Failed answers StepSend with what went wrong; tls is what the connection showed, or nil.
func (w *Flow) Failed(now time.Time, why Failure, tls *Evidence) error {
	return w.answered(func(f *frame, at uint64) *invocation {
		return f.call(fnFlowFailed).u(at).u(millis(now)).u(uint64(why)).u(f.evidence(tls))
	})
}

// Retried writes into the transcript that StepSend is answered by another attempt (Profile.Retry).
func (w *Flow) Retried(tls *Evidence, why Failure, status int) error {
	return w.answered(func(f *frame, at uint64) *invocation {
		return f.call(fnFlowRetried).u(at).u(f.evidence(tls)).u(uint64(why)).u(uint64(status))
	})
}

// Credentials answers StepCredentials; the zero value where nothing was found. They are kept until validUntil, or, where
// that is zero, until they are refused or the configuration is replaced.
func (w *Flow) Credentials(now time.Time, found Credentials, validUntil time.Time) error {
	return w.answered(func(f *frame, at uint64) *invocation {
		c := f.call(fnFlowCredentials).u(at).u(millis(now)).u(uint64(found.Kind)).text(found.User).text(found.Secret)
		return c.u(millis(validUntil))
	})
}

// HelperOutput answers StepCredentials that names a helper, with what it printed: docker-credential-NAME get, with the URL
// on its standard input. success is whether it exited with 0.
func (w *Flow) HelperOutput(now time.Time, success bool, output []byte) error {
	return w.answered(func(f *frame, at uint64) *invocation {
		var ok uint64
		if success {
			ok = 1
		}
		return f.call(fnFlowHelperOutput).u(at).u(millis(now)).u(ok).data(output)
	})
}

// HelperFailed answers StepCredentials where the look-up did not work, and ends the flow; why is one sentence without
// secrets.
func (w *Flow) HelperFailed(now time.Time, why string) error {
	return w.answered(func(f *frame, at uint64) *invocation {
		return f.call(fnFlowHelperFailed).u(at).u(millis(now)).text(why)
	})
}

// Explain is the transcript: every decision so far, without any secret.
func (w *Flow) Explain() string {
	var text []byte
	_ = w.call(func(f *frame, at uint64) (err error) {
		text, err = f.call(fnFlowExplain).u(at).space()
		return err
	})
	return string(text)
}

// Referrer is what a URL in the answer is followed with (Agent.Referred).
func (w *Flow) Referrer() (*Referrer, error) {
	referrer := new(Referrer)
	err := w.call(func(f *frame, at uint64) error {
		c := f.call(fnFlowReferrer).u(at).to()
		return referrer.made(c.pointerOr(c.do()))
	})
	return referrer, err
}

// waiting are the channels of flows that wait, by number.
var (
	waiting    sync.Map
	lastWaiter atomic.Uint64
)

// woken is told by a machine that a wait may be over, under its lock.
func woken(id uint64) {
	if channel, ok := waiting.Load(id); ok {
		select {
		case channel.(chan struct{}) <- struct{}{}:
		default:
		}
	}
}

// Wait waits until a StepWait may be over: another flow has the token, or step.Until has come, counted from now. It ends
// early with the context's error; the flow can be polled again then, or closed.
func (w *Flow) Wait(ctx context.Context, now time.Time, step Step) error {
	if step.Kind != StepWait {
		return nil
	}
	wake := make(chan struct{}, 1)
	id := lastWaiter.Add(1)
	waiting.Store(id, wake)
	defer waiting.Delete(id)
	// The waker holds from the next poll on, which also says whether there is still something to wait for.
	again := false
	err := w.call(func(f *frame, at uint64) error {
		if s := status(int32(f.m.wakeWith(at, id))); s != statusOK {
			return s.err()
		}
		out := f.out()
		s := f.call(fnFlowPoll).u(at).u(millis(now)).u(out).run()
		again = s == statusOK && f.readStep(out).Kind == StepWait
		f.m.wakeAll()
		return s.err()
	})
	if err != nil || !again {
		return err
	}
	timer := time.NewTimer(step.Until.Sub(now))
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	return nil
}
