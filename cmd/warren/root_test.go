package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

func TestMistakesOnTheCommandLineExitWith2(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"an unknown command", []string{"pubish"}, `unknown command "pubish"`},
		{"an unknown flag", []string{"status", "--nope"}, "unknown flag: --nope"},
		{"a missing topic", []string{"publish"}, "a topic is missing"},
		{"a second topic", []string{"publish", "a", "b"}, `unexpected argument "b"`},
		{"no event", []string{"publish", "orders"}, "describe one with --type and --source"},
		{"an event without source", []string{"publish", "orders", "--type", "t"}, "needs --type and --source"},
		{"flags beside a file", []string{"publish", "orders", "-f", "-", "--type", "t"}, "--type: an event from flags does not go with -f"},
		{"a file that is not there", []string{"publish", "orders", "-f", "/does/not/exist"}, "no such file"},
		{"a directory for a file", []string{"publish", "orders", "-f", "."}, "is a directory"},
		{"an invalid event", []string{"publish", "orders", "--type", "t", "--source", "/s", "--attr", "Big=1"}, `attribute "Big"`},
		{"an attribute without value", []string{"publish", "orders", "--type", "t", "--source", "/s", "--attr", "x"}, "want name=value"},
		{"an attribute that has its own flag", []string{"publish", "orders", "--type", "t", "--source", "/s", "--attr", "id=1"}, "use --id"},
		{"a header without value", []string{"publish", "orders", "--type", "t", "--source", "/s", "--header", "x"}, `--header "x": want name=value`},
		{"a broken time", []string{"publish", "orders", "--type", "t", "--source", "/s", "--attr", "time=now"}, "RFC 3339"},
		{"two payloads", []string{"publish", "orders", "--type", "t", "--source", "/s", "--data", "", "--data-file", "x"}, "only one of them"},
		{"a concurrency of none", []string{"publish", "orders", "-f", "-", "--concurrency", "0"}, "want 1 to 10000"},
		{"no time at all", []string{"publish", "orders", "-f", "-", "--timeout", "0s"}, "want a positive duration"},
		{"a broken address", []string{"publish", "orders", "-f", "-", "--sidecar", "here"}, "want host:port or unix:/path"},
		{"a format that is none", []string{"status", "-o", "xml"}, `--output "xml": want table, wide, json, yaml`},
		{"a kind that is none", []string{"status", "--kind", "queue"}, `--kind "queue": want broker, topic`},
		{"two sidecars", []string{"status", "a", "b"}, "accepts at most 1 arg"},
		{"a sample of nothing", []string{"tail", "--sample", "0"}, "want above 0, at most 100"},
		{"a sample of too much", []string{"tail", "--sample", "NaN"}, "want above 0, at most 100"},
		{"a payload that is too long", []string{"tail", "--payload=70000"}, "want at most 65536"},
		{"a missing dead letter", []string{"deadletter", "show", "billing"}, "the id of an event is missing"},
		{"two dead letters", []string{"deadletter", "show", "billing", "1", "2"}, `unexpected argument "2"`},
		{"a time that is none", []string{"deadletter", "list", "billing", "--since", "yesterday"}, "or how long ago: 90m, 2h, 7d"},
		{"a span of time that is none", []string{"deadletter", "list", "billing", "--since", "1h", "--until", "2h"}, "no dead letter can be in between"},
		{"a rate of nothing", []string{"deadletter", "redrive", "billing", "--rate", "NaN"}, "want at least 0.001"},
		{"a destination that is none", []string{"deadletter", "redrive", "billing", "--to", "queue"}, `--to "queue": want subscription, topic`},
		{"a purge that nobody agreed to", []string{"deadletter", "purge", "billing"}, "use --dry-run to count them, then --yes"},
		{"a key that is not named", []string{"deadletter", "release", "billing"}, "name the keys to release, or say --all"},
		{"keys beside all", []string{"deadletter", "release", "billing", "k", "--all"}, "only one of them"},
		{"a phase that is none", []string{"drain", "--phase", "publish"}, `--phase "publish": want delivery, all`},
		{"no time to drain", []string{"drain", "--timeout", "0s"}, "want a positive duration"},
		{"a broken admin address", []string{"config", "dump", "--admin", "here"}, "want host:port or unix:/path"},
		{"a missing subscription", []string{"subscribe"}, "a subscription is missing"},
		{"an outcome that is none", []string{"subscribe", "b", "--outcome", "nack"}, "want ack, retry, dead-letter"},
		{"an outcome with --no-ack", []string{"subscribe", "b", "--outcome", "ack", "--no-ack"}, "only one of them"},
		{"a delay without retry", []string{"subscribe", "b", "--retry-after", "1s"}, "goes with --outcome retry only"},
		{"a long reason", []string{"subscribe", "b", "--reason", strings.Repeat("x", 201)}, "at most 200 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := invocation{}.run(t, tt.args...)
			if r.code != exitUsage || !strings.Contains(r.err, tt.want) {
				t.Errorf("exit %d, want 2; stderr:\n%swant %q in it", r.code, r.err, tt.want)
			}
			if !strings.Contains(r.err, "--help") {
				t.Errorf("stderr does not say where help is:\n%s", r.err)
			}
			if r.out != "" {
				t.Errorf("stdout is not empty:\n%s", r.out)
			}
		})
	}
}

func TestHelpFits80ColumnsAndHasExamples(t *testing.T) {
	t.Parallel()
	root := newRoot(&app{Terminal: &terminal.Terminal{}})
	for _, cmd := range append(commands(root), root) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			t.Parallel()
			args := slices.Concat(strings.Fields(cmd.CommandPath())[1:], []string{"--help"})
			r := invocation{}.run(t, args...)
			if r.code != exitOK || r.err != "" {
				t.Errorf("exit %d, stderr:\n%s", r.code, r.err)
			}
			if cmd.Runnable() && cmd.Example == "" {
				t.Error("there is no example")
			}
			for line := range strings.Lines(r.out) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
		})
	}
}

// commands returns all commands below cmd.
func commands(cmd *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, sub := range cmd.Commands() {
		all = append(append(all, sub), commands(sub)...)
	}
	return all
}

func TestCompletionIsOffered(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := (invocation{}).run(t, "completion", shell); r.code != exitOK || !strings.Contains(r.out, "warren") {
			t.Errorf("completion %s: exit %d, %d bytes", shell, r.code, len(r.out))
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if r := (invocation{}).run(t, "version"); r.code != exitOK || !strings.HasPrefix(r.out, "warren ") || !strings.Contains(r.out, "go1.") {
		t.Errorf("version: %+v", r)
	}
	if short, long := (invocation{}).run(t, "--version"), (invocation{}).run(t, "version"); short.code != exitOK || short.out != long.out {
		t.Errorf("--version: %+v, version: %+v", short, long)
	}
	if r := (invocation{}).run(t, "version", "-o", "json"); r.code != exitOK || !strings.Contains(r.out, `"platform":`) {
		t.Errorf("version -o json: %+v", r)
	}
}
