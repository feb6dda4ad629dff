package regauth

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const manifest = "https://reg.example/v2/app/manifests/1"

var epoch = time.UnixMilli(1_800_000_000_000)

// warm is an agent with a token of 900 bytes for app on reg.example.
func warm(t testing.TB) *Agent {
	config, err := NewConfig()
	must(t, err)
	agent, err := NewAgent(config)
	must(t, err)
	config.Close()
	flow, err := agent.Request("GET", manifest)
	must(t, err)
	defer flow.Close()
	challenge := Header{"WWW-Authenticate", `Bearer realm="https://reg.example/token",service="reg",scope="repository:app:pull"`}
	token := fmt.Sprintf(`{"token":"%s","expires_in":300}`, strings.Repeat("t", 900))
	for _, answer := range []Answer{{Status: 401, Headers: []Header{challenge}}, {Status: 200, Body: []byte(token)}, {Status: 200}} {
		step, err := flow.Poll(epoch)
		must(t, err)
		if step.Kind != StepSend {
			t.Fatalf("came %+v", step)
		}
		must(t, flow.Answer(epoch, answer))
	}
	return agent
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func BenchmarkAuthorize(b *testing.B) {
	agent := warm(b)
	buf := make([]byte, 0, 2048)
	b.ReportAllocs()
	for b.Loop() {
		header, ok := agent.Authorize(buf, epoch, "GET", manifest)
		if !ok || len(header) != 907 {
			b.Fatal("it is not warm")
		}
	}
}
