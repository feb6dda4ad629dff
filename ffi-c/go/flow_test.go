package regauth

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// answering drives one flow against a registry in memory, and says how it ended.
func answering(t testing.TB, agent *Agent, ctx context.Context, url string, tokens *atomic.Int64) Step {
	flow, err := agent.Request("GET", url)
	must(t, err)
	defer flow.Close()
	for {
		now := time.Now()
		step, err := flow.Poll(now)
		must(t, err)
		switch step.Kind {
		case StepWait:
			if err := flow.Wait(ctx, now, step); err != nil {
				return Step{Kind: StepWait}
			}
		case StepSend:
			answer := Answer{Status: 200}
			if step.Send.Hop == HopToken {
				tokens.Add(1)
				// So that the others come while it is under way.
				time.Sleep(20 * time.Millisecond)
				answer.Body = []byte(`{"token":"T","expires_in":300}`)
			} else if field(step.Send, "Authorization") != "Bearer T" {
				answer.Status = 401
				answer.Headers = []Header{{"WWW-Authenticate", `Bearer realm="https://reg.example/token",service="reg"`}}
			}
			must(t, flow.Answer(now, answer))
		default:
			return step
		}
	}
}

func empty(t testing.TB) *Agent {
	config, err := NewConfig()
	must(t, err)
	defer config.Close()
	agent, err := NewAgent(config)
	must(t, err)
	return agent
}

func TestTenThousandGoroutinesFetchOneToken(t *testing.T) {
	agent := empty(t)
	defer agent.Close()
	var tokens, done atomic.Int64
	var all sync.WaitGroup
	for range 10_000 {
		all.Go(func() {
			if step := answering(t, agent, t.Context(), manifest, &tokens); step.Kind == StepDone && step.Status == 200 {
				done.Add(1)
			}
		})
	}
	all.Wait()
	if tokens.Load() != 1 || done.Load() != 10_000 {
		t.Fatalf("%d token requests, %d done", tokens.Load(), done.Load())
	}
}

func TestWhoWaitsTakesOverFromWhoGivesUp(t *testing.T) {
	agent := empty(t)
	defer agent.Close()
	var flows [2]*Flow
	for i := range flows {
		flow, err := agent.Request("GET", manifest)
		must(t, err)
		_, err = flow.Poll(time.Now())
		must(t, err)
		flows[i] = flow
	}
	for _, flow := range flows {
		must(t, flow.Answer(time.Now(), Answer{Status: 401, Headers: []Header{{"WWW-Authenticate", `Bearer realm="https://reg.example/token"`}}}))
	}
	first, err := flows[0].Poll(time.Now())
	must(t, err)
	second, err := flows[1].Poll(time.Now())
	must(t, err)
	if first.Kind != StepSend || first.Send.Hop != HopToken || second.Kind != StepWait {
		t.Fatalf("came %v and %v", first, second)
	}
	// Given up by its context, it can be polled again; and it is woken when the other one is closed.
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if err := flows[1].Wait(ctx, time.Now(), second); err != enough {
		t.Fatalf("came %v", err)
	}
	woken := make(chan error)
	go func() { woken <- flows[1].Wait(t.Context(), time.Now(), second) }()
	time.Sleep(10 * time.Millisecond)
	flows[0].Close()
	must(t, <-woken)
	if step, err := flows[1].Poll(time.Now()); err != nil || step.Kind != StepSend || step.Send.Hop != HopToken {
		t.Fatalf("came %v, %v", step, err)
	}
	flows[1].Close()
}

func TestClosedIsAnError(t *testing.T) {
	agent := warm(t)
	flow, err := agent.Request("GET", manifest)
	must(t, err)
	agent.Close()
	agent.Close()
	if _, err := flow.Poll(epoch); err != nil {
		t.Errorf("flows go on without their agent: %v", err)
	}
	flow.Close()
	flow.Close()
	if _, err := flow.Poll(epoch); err != ErrClosed {
		t.Errorf("came %v", err)
	}
	if _, err := agent.Request("GET", manifest); err != ErrClosed {
		t.Errorf("came %v", err)
	}
	if _, ok := agent.Authorize(nil, epoch, "GET", manifest); ok {
		t.Error("a closed agent authorises")
	}
}

func TestErrorsSayWhatWhereAndWhatToDo(t *testing.T) {
	agent := empty(t)
	defer agent.Close()
	_, err := agent.Request("GET", "https://user:secret@reg.example/v2/")
	var said *Error
	if !errors.As(err, &said) || said.Fault != FaultLocal || said.Kind != ErrorURL || said.What == "" || said.Remedy == "" ||
		strings.Contains(err.Error(), "secret") {
		t.Errorf("came %+v", err)
	}
	if _, err := agent.Request("GET", "https://reg.example/\xff"); err != ErrInput {
		t.Errorf("came %v", err)
	}
	flow, err := agent.Request("GET", manifest)
	must(t, err)
	_, err = flow.Poll(epoch)
	must(t, err)
	must(t, flow.Failed(epoch, FailureConnect, nil))
	step, err := flow.Poll(epoch)
	must(t, err)
	e := step.Err
	if step.Kind != StepFailed || e.Fault != FaultNetwork || e.Hop != HopRegistry || e.Failure != FailureConnect || e.Origin != "https://reg.example" {
		t.Errorf("came %+v", e)
	}
	if text := flow.Explain(); !strings.Contains(text, "reg.example") {
		t.Errorf("the transcript says %q", text)
	}
}
