package regauth

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// Rows are read loosely: each kind has fields of its own.
type row map[string]any

func (r row) text(name string) string { text, _ := r[name].(string); return text }

func (r row) list(name string) []any { list, _ := r[name].([]any); return list }

func (r row) row(name string) row { inner, _ := r[name].(map[string]any); return inner }

func (r row) has(name string) bool { _, ok := r[name]; return ok }

func (r row) is(name string) bool { is, _ := r[name].(bool); return is }

// flat gives texts, and texts in lists, in their order.
func flat(list []any) []string {
	all := []string{}
	for _, one := range list {
		switch one := one.(type) {
		case string:
			all = append(all, strings.Fields(one)...)
		case []any:
			all = append(all, flat(one)...)
		}
	}
	return all
}

func TestVectors(t *testing.T) {
	kinds := map[string]func(row) error{
		"challenge": vectorChallenge, "scope": vectorScope, "merge": vectorMerge, "cover": vectorCover,
		"origin": vectorOrigin, "reference": vectorReference, "flow": vectorFlow,
	}
	paths, _ := filepath.Glob("../../tests/vectors/*.jsonl")
	if len(paths) < 11 {
		t.Fatalf("the vectors are not there: %v", paths)
	}
	passed, without := 0, map[string]int{}
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var r row
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			run := kinds[r.text("kind")]
			if run == nil {
				without[r.text("kind")]++
				continue
			}
			if err := run(r); err != nil {
				t.Errorf("%s %s: %v", filepath.Base(path), r.text("id"), err)
			} else {
				passed++
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		file.Close()
	}
	t.Logf("%d vectors passed; of kinds that the ABI has no function for: %v", passed, without)
	if passed < 707 && !t.Failed() {
		t.Errorf("only %d vectors were run", passed)
	}
}

func vectorChallenge(r row) error {
	var fields []string
	for _, field := range r.list("headers") {
		fields = append(fields, field.(string))
	}
	read, flaws, err := ParseChallenges(fields...)
	if err != nil {
		return err
	}
	came := []any{}
	for _, challenge := range read {
		params := map[string]any{}
		for _, param := range challenge.Params {
			// Bytes that are no UTF-8 cannot be in a vector either.
			params[strings.ToLower(param.Name)] = replaced(param.Value)
		}
		one := map[string]any{"scheme": strings.ToLower(challenge.Scheme), "params": params}
		if challenge.Token68 != nil {
			one["token68"] = string(challenge.Token68)
		}
		came = append(came, one)
	}
	if expect := r.list("expect"); r.has("expect") && !reflect.DeepEqual(came, expect) {
		return fmt.Errorf("came %v, not %v", came, expect)
	}
	if r.has("valid") && r.is("valid") != (flaws == 0) {
		return fmt.Errorf("%d flaws", flaws)
	}
	return nil
}

func replaced(text string) string {
	var out strings.Builder
	for i := range len(text) {
		if text[i] < 0x80 {
			out.WriteByte(text[i])
		} else if strings.ToValidUTF8(text, "") == text {
			return text
		} else {
			out.WriteRune('\uFFFD')
		}
	}
	return out.String()
}

func vectorScope(r row) error {
	scopes, ok := ScopesNeeded(r.text("method"), r.text("path"))
	if r["scopes"] == nil {
		if ok {
			return fmt.Errorf("came %v, not none", scopes)
		}
		return nil
	}
	return same(scopes, flat(r.list("scopes")), ok)
}

func vectorMerge(r row) error {
	merged, err := MergeScopes(flat(r.list("scopes"))...)
	return same(merged, flat(r.list("merged")), err == nil)
}

func same(came, wanted []string, ok bool) error {
	if !ok || !slices.Equal(came, wanted) {
		return fmt.Errorf("came %v (%v), not %v", came, ok, wanted)
	}
	return nil
}

func vectorCover(r row) error {
	covers, err := Covers(flat(r.list("granted")), flat(r.list("needed")))
	if err != nil || covers != r.is("covers") {
		return fmt.Errorf("came %v, %v", covers, err)
	}
	return nil
}

func vectorOrigin(r row) error {
	origin, err := ParseOrigin(r.text("url"))
	if r.is("error") != (err != nil) || origin != r.text("origin") {
		return fmt.Errorf("came %q, %v", origin, err)
	}
	return nil
}

func vectorReference(r row) error {
	reference, err := ParseReference(r.text("name"))
	if r.is("error") || err != nil {
		if r.is("error") != (err != nil) {
			return fmt.Errorf("came %v, %v", reference, err)
		}
		return nil
	}
	for name, came := range map[string]string{
		"origin": reference.Origin, "domain": reference.Domain, "repository": reference.Repository,
		"tag": reference.Tag, "digest": reference.Digest,
	} {
		if r.has(name) && came != r.text(name) {
			return fmt.Errorf("%s: came %q, not %v", name, came, r[name])
		}
	}
	return nil
}

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
