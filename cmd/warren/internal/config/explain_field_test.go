package config

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
	"github.com/warrenmesh/warren/cmd/warren/internal/config/fielddoc"
)

func explain(t *testing.T, args ...string) (clitest.Result, string) {
	t.Helper()
	args = append([]string{"config", "explain-field"}, args...)
	r := warren.Run(t, args...)
	return r, clitest.Transcript(r, args...)
}

func TestExplainFieldShowsAFieldAndWhatIsInside(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"explain-kinds":  nil,
		"explain-object": {"EventTopic.spec.publish"},
		"explain-leaf":   {"subscription.spec.ackDeadline"},
		"explain-list":   {"EventRoute.spec.rules[0].filters[1].not"},
		"explain-tree":   {"EventTopic", "--recursive"},
		"explain-json":   {"topic.spec.exchange", "-o", "json"},
		"explain-wrong":  {"EventTopic.spec.pubish"},
	} {
		r, text := explain(t, args...)
		// Durations are part of what is explained: nothing but the call is masked.
		call, _, _ := strings.Cut(text, "\n")
		clitest.Golden(t, name, call+"\n"+r.Out+r.Err)
	}
}

func TestExplainFieldFits80Columns(t *testing.T) {
	t.Parallel()
	var calls [][]string
	for _, kind := range fielddoc.Kinds() {
		calls = append(calls, []string{kind.Path, "--recursive"})
		for _, f := range kind.All() {
			calls = append(calls, []string{f.Path})
		}
	}
	for _, args := range append(calls, nil) {
		r, _ := explain(t, args...)
		if r.Code != cli.ExitOK || r.Out == "" {
			t.Fatalf("%v: exit %d, %s", args, r.Code, r.Err)
		}
		for line := range strings.Lines(r.Out) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%v: %d columns: %s", args, n, line)
			}
		}
	}
}

func TestExplainFieldIsForScriptsToo(t *testing.T) {
	t.Parallel()
	r, _ := explain(t, "EventRoute", "-r", "-o", "json")
	var out fieldOutput
	if err := json.Unmarshal([]byte(r.Out), &out); err != nil {
		t.Fatal(err)
	}
	var find func(f fieldOutput, path string) fieldOutput
	find = func(f fieldOutput, path string) fieldOutput {
		for _, c := range f.Fields {
			if c.Path == path {
				return c
			}
			if found := find(c, path); found.Path != "" {
				return found
			}
		}
		return fieldOutput{}
	}
	on := find(out, "EventRoute.spec.rules.retry.on")
	if on.Type != "list of string" || len(on.Values) != 4 || on.Default != "nack, confirm-timeout, connect-failure, channel-closed" || !on.Supported {
		t.Errorf("retry.on is %+v", on)
	}
	if mirror := find(out, "EventRoute.spec.rules.mirror"); mirror.Supported || mirror.Path == "" {
		t.Errorf("mirror is %+v", mirror)
	}
	var kinds []fieldOutput
	if r, _ := explain(t, "-o", "json"); json.Unmarshal([]byte(r.Out), &kinds) != nil || len(kinds) != len(v1alpha1.Kinds()) {
		t.Errorf("kinds: %s", r.Out)
	}
}

func TestExplainFieldCompletesPaths(t *testing.T) {
	t.Parallel()
	r := warren.Run(t, "__complete", "config", "explain-field", "EventTopic.spec.r")
	if !strings.HasPrefix(r.Out, "EventTopic.spec.routingKey\n") {
		t.Errorf("completion: %q", r.Out)
	}
}
