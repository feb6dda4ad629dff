package regauth

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/regauth/regauth/ffi-c/go/internal/heap"
)

// soaked makes one flow, whatever it takes; every tenth token is refused once, every hundredth flow is given up.
func soaked(t testing.TB, agent *Agent, number int, now time.Time) {
	flow, err := agent.Request("GET", fmt.Sprintf("https://reg.example/v2/app%d/manifests/1", number%50))
	must(t, err)
	defer flow.Close()
	for n := 0; ; n++ {
		step, err := flow.Poll(now)
		must(t, err)
		if step.Kind != StepSend || number%100 == 99 && n == 1 {
			return
		}
		answer := Answer{Status: 200}
		switch {
		case step.Send.Hop == HopToken:
			answer.Body = fmt.Appendf(nil, `{"token":"T%d","expires_in":300}`, number)
		case field(step.Send, "Authorization") == nil, number%10 == 7 && n == 0:
			answer.Status = 401
			answer.Headers = []Header{{"WWW-Authenticate", fmt.Sprintf(
				`Bearer realm="https://reg.example/token",service="reg",scope="repository:app%d:pull"`, number%50)}}
		}
		must(t, flow.Answer(now, answer))
	}
}

// live is the core's memory and Go's, in bytes.
func live(t testing.TB, host func() (machine, error)) (core, garbage uint64) {
	// Twice: cleanups run after the first one.
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	m, err := host()
	must(t, err)
	return heap.Live(size(m)), stats.HeapAlloc
}

// SOAK is a number of flows.
func TestSoakLeavesTheHeapWhereItWas(t *testing.T) {
	flows := 20_000
	if text := os.Getenv("SOAK"); text != "" {
		var err error
		flows, err = strconv.Atoi(text)
		must(t, err)
	}
	agent := empty(t)
	defer agent.Close()
	var core, garbage uint64
	start := time.Now()
	for number := range flows {
		if number == 1000 {
			core, garbage = live(t, host)
		}
		// A second for each, so that tokens run out too.
		soaked(t, agent, number, epoch.Add(time.Duration(number)*time.Second))
	}
	coreAfter, garbageAfter := live(t, host)
	t.Logf("%s: %d flows, %.1f us each; core %d bytes after 1,000 and %+d after all, Go %d and %+d", Backend, flows,
		float64(time.Since(start).Microseconds())/float64(flows), core, int64(coreAfter-core), garbage, int64(garbageAfter-garbage))
	if coreAfter > core+heap.Slack {
		t.Error("the core's memory grows")
	}
	if garbageAfter > garbage+256<<10 {
		t.Error("Go's heap grows")
	}
}
