package regauth

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
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
