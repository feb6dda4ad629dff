package regauth

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A conversation is one agent with its flows, and the clock.
type conversation struct {
	agent *Agent
	flows map[string]*Flow
	woken map[string]*bool
	now   time.Time
}

func vectorFlow(r row) error {
	agent, err := agentOf(r.row("config"))
	if err != nil {
		return err
	}
	c := &conversation{agent: agent, flows: map[string]*Flow{}, woken: map[string]*bool{}, now: time.UnixMilli(1e12)}
	defer agent.Close()
	defer func() {
		for _, flow := range c.flows {
			flow.Close()
		}
	}()
	for i, step := range r.list("steps") {
		if err := c.step(step.(map[string]any)); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

func credentialsOf(r row) Credentials {
	switch {
	case r.has("user"):
		return Credentials{Basic, r.text("user"), r.text("password")}
	case r.has("refresh"):
		return Credentials{Kind: Refresh, Secret: r.text("refresh")}
	case r.has("bearer"):
		return Credentials{Kind: Bearer, Secret: r.text("bearer")}
	}
	return Credentials{}
}

func agentOf(r row) (*Agent, error) {
	config, err := NewConfig()
	if err != nil {
		return nil, err
	}
	defer config.Close()
	var all []error
	try := func(err error) { all = append(all, err) }
	for origin := range r.row("hosts") {
		entry := r.row("hosts").row(origin)
		host := Host{Local: entry.is("local"), PasswordOverHTTP: entry.is("password_over_http"),
			SkipVerify: entry.is("skip_verify"), PasswordUnverified: entry.is("password_unverified")}
		if entry.has("identity") {
			identity, err := NamedIdentity(entry.text("identity"), [32]byte{})
			if err != nil {
				return nil, err
			}
			defer identity.Close()
			host.Identities = []*Identity{identity}
		}
		for name := range entry.row("headers") {
			host.Headers = append(host.Headers, Header{name, entry.row("headers").text(name)})
		}
		try(config.Host(origin, host))
	}
	for origin, entry := range r.row("credentials") {
		if found := r.row("credentials").row(origin); entry != "ask" {
			try(config.Credentials(origin, credentialsOf(found)))
		} else {
			try(config.Ask(origin))
		}
	}
	for _, entry := range r.list("pairs") {
		entry := row(entry.(map[string]any))
		pair := Pair{Registry: entry.text("registry"), Kind: PairToken, Other: entry.text("token"),
			Identity: entry.is("identity"), Local: entry.is("local")}
		if entry.has("storage") {
			pair.Kind, pair.Other = PairStorage, entry.text("storage")
		}
		try(config.Pair(pair))
	}
	try(config.Set(AnyHTTPS, r.text("mode") == "any-https"))
	try(config.Set(PasswordPost, r.is("password_post")))
	try(config.Set(OfflineToken, r.is("offline_token")))
	for _, err := range all {
		if err != nil {
			return nil, err
		}
	}
	return NewAgent(config)
}

func hopOf(name string) Hop {
	for hop := HopRegistry; hop <= HopTokenRedirect; hop++ {
		if hop.String() == name {
			return hop
		}
	}
	return 0
}

func (c *conversation) start(r row) (*Flow, error) {
	var flow *Flow
	var err error
	if r.has("of") {
		by, err := NewReferrer(r.text("of"))
		if err != nil {
			return nil, err
		}
		defer by.Close()
		if flow, err = c.agent.Referred(by, hopOf(r.text("hop")), r.text("method"), r.text("url")); err != nil {
			return nil, err
		}
	} else if flow, err = c.agent.Request(r.text("method"), r.text("url")); err != nil {
		return nil, err
	}
	for _, scope := range r.list("scopes") {
		if err := flow.Scope(scope.(string)); err != nil {
			return nil, err
		}
	}
	return flow, nil
}

// wakes sets a waker that sets a flag.
func wakes(flow *Flow) *bool {
	flag := new(bool)
	id := lastWaiter.Add(1)
	channel := make(chan struct{}, 1)
	waiting.Store(id, channel)
	_ = flow.call(func(f *frame, at uint64) error { f.m.wakeWith(at, id); return nil })
	vectorWakers[flag] = channel
	return flag
}

var vectorWakers = map[*bool]chan struct{}{}

func (c *conversation) step(r row) error {
	switch {
	case r.has("at"):
		c.now = time.UnixMilli(int64(r["at"].(float64)))
		return nil
	case r.has("start"):
		if old := c.flows[r.text("start")]; old != nil {
			old.Close()
		}
		flow, err := c.start(r)
		if err != nil {
			return err
		}
		c.flows[r.text("start")] = flow
		c.woken[r.text("start")] = wakes(flow)
		return nil
	case r.has("drop"):
		c.flows[r.text("drop")].Close()
		return nil
	case r.has("woken"):
		select {
		case <-vectorWakers[c.woken[r.text("woken")]]:
			return nil
		default:
			return fmt.Errorf("it was not woken")
		}
	}
	name := "a"
	if r.has("flow") {
		name = r.text("flow")
	}
	return c.one(c.flows[name], vectorWakers[c.woken[name]], r)
}

func (c *conversation) one(flow *Flow, wake chan struct{}, r row) error {
	poll := func() Step {
		step, err := flow.Poll(c.now)
		if err != nil {
			return Step{Err: &Error{What: err.Error()}}
		}
		return step
	}
	// Twice: it is idempotent.
	if first, second := poll(), poll(); !reflect.DeepEqual(first, second) {
		return fmt.Errorf("came %+v, then %+v", first, second)
	}
	step := poll()
	var err error
	switch {
	case r.has("send"):
		if step.Kind == StepSend {
			return sent(r.row("send"), step.Send)
		}
	case r.has("answer"):
		given := r.row("answer")
		answer := Answer{Status: int(given["status"].(float64)), Body: []byte(given.text("body")), URL: given.text("url")}
		for _, pair := range given.list("headers") {
			answer.Headers = append(answer.Headers, Header{pair.([]any)[0].(string), pair.([]any)[1].(string)})
		}
		err = flow.Answer(c.now, answer)
		poll()
		return err
	case r.has("fail"):
		err = flow.Failed(c.now, failureOf(r.text("fail")), nil)
		poll()
		return err
	case r.has("credentials"):
		if step.Kind == StepCredentials && step.Query.Registry == r.text("credentials") {
			return nil
		}
	case r.has("found"):
		err = flow.Credentials(c.now, credentialsOf(r.row("found")), time.Time{})
		poll()
		return err
	case r.is("wait"):
		select {
		case <-wake:
		default:
		}
		if poll().Kind == StepWait {
			return nil
		}
	case r.has("dial"):
		if address, bad := netip.ParseAddr(r.text("dial")); bad == nil {
			err = flow.Dial(address)
		} else {
			err = flow.DialProxied()
		}
		if (err != nil) != r.is("refused") {
			return fmt.Errorf("dial: came %v", err)
		}
		return nil
	case r.has("done"):
		if step.Kind == StepDone && step.Status == int(r["done"].(float64)) {
			return nil
		}
	case r.has("failed"):
		failed := r.row("failed")
		hop := "unknown"
		if failed["hop"] != nil {
			hop = failed.text("hop")
		}
		if step.Kind == StepFailed && step.Err.Fault.String() == failed.text("fault") &&
			(!failed.has("hop") || step.Err.Hop.String() == hop) {
			return nil
		}
	case r.has("explain"):
		text := flow.Explain()
		for _, part := range r.list("explain") {
			if !strings.Contains(text, part.(string)) {
				return fmt.Errorf("missing %q in %s", part, text)
			}
		}
		for _, part := range r.list("hides") {
			if strings.Contains(text, part.(string)) {
				return fmt.Errorf("%q in %s", part, text)
			}
		}
		return nil
	}
	return fmt.Errorf("came %s %+v", step.Kind, step)
}

func failureOf(name string) Failure {
	return map[string]Failure{"connect": FailureConnect, "timeout": FailureTimeout, "reset": FailureReset,
		"tls-certificate-required": FailureCertificateRequired, "tls-rejected": FailureCertificateRejected,
		"address-refused": FailureAddressRefused}[name]
}

func field(send *Outgoing, name string) any {
	for _, header := range send.Headers {
		if strings.EqualFold(header.Name, name) {
			return header.Value
		}
	}
	return nil
}

func sent(expected row, send *Outgoing) error {
	target, query := send.URL, ""
	if send.Hop == HopToken || send.Hop == HopTokenRedirect {
		target, query, _ = strings.Cut(send.URL, "?")
	}
	came := row{"hop": send.Hop.String(), "method": send.Method, "url": target, "identity": nil, "authorization": field(send, "Authorization")}
	if send.Identity != "" {
		came["identity"] = send.Identity
	}
	for name, value := range came {
		if expected.has(name) && expected[name] != value {
			return fmt.Errorf("%s: came %v, not %v", name, value, expected[name])
		}
	}
	for name, form := range map[string]string{"query": query, "form": string(send.Form)} {
		if !expected.has(name) {
			continue
		}
		values, err := url.ParseQuery(form)
		if err != nil {
			return err
		}
		for _, key := range []string{"service", "scope", "account", "grant_type", "refresh_token", "username", "password", "access_type", "offline_token"} {
			var wanted []string
			for _, value := range expected.row(name).list(key) {
				wanted = append(wanted, value.(string))
			}
			if !slices.Equal(values[key], wanted) {
				return fmt.Errorf("%s: came %s %v, not %v", name, key, values[key], wanted)
			}
		}
	}
	for name, value := range expected.row("headers") {
		if field(send, name) != value {
			return fmt.Errorf("field %s: came %v, not %v", name, field(send, name), value)
		}
	}
	for _, name := range expected.list("absent") {
		if field(send, name.(string)) != nil {
			return fmt.Errorf("field %v is there", name)
		}
	}
	return nil
}
