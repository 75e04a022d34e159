package main

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
	"github.com/warrenmesh/warren/cmd/warren/internal/terminal"
)

// warren is the whole program.
var warren = clitest.Program(commands)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
		{"no time to wait for a status", []string{"status", "--timeout", "0s"}, "--timeout 0s: want a positive duration"},
		{"a time without a unit", []string{"publish", "orders", "-f", "-", "--timeout", "30"}, `missing unit in duration "30"`},
		{"too much at once", []string{"publish", "orders", "-f", "-", "--concurrency", "10001"}, "want 1 to 10000"},
		{"a file beside an unknown format", []string{"publish", "orders", "-f", "-", "-o", "table"}, `--output "table": want text, json, yaml`},
		{"a header without a name", []string{"publish", "orders", "--type", "t", "--source", "/s", "--header", "=x"}, `--header "=x": want name=value`},
		{"a content type as an attribute", []string{"publish", "orders", "--type", "t", "--source", "/s", "--attr", "datacontenttype=x"}, "use --content-type"},
		{"another version of CloudEvents", []string{"publish", "orders", "--type", "t", "--source", "/s", "--attr", "specversion=2.0"}, "it is always 1.0"},
		{"an empty type", []string{"publish", "orders", "--type", "", "--source", "/s"}, "needs --type and --source"},
		{"a payload that is not there", []string{"publish", "orders", "--type", "t", "--source", "/s", "--data-file", "/does/not/exist"}, "--data-file: open /does/not/exist"},
		{"a topic that is empty, to an address that is none", []string{"publish", "orders", "-f", "-", "--sidecar", "unix:"}, `address "unix:": want host:port or unix:/path`},
		{"a count below 0", []string{"subscribe", "b", "-n", "-1"}, "--count -1: want 0 or more"},
		{"a window of none", []string{"subscribe", "b", "--window", "0"}, "--window 0: want 1 to 65535"},
		{"a window that is too large", []string{"subscribe", "b", "--window", "65536"}, "--window 65536: want 1 to 65535"},
		{"a delay in the past", []string{"subscribe", "b", "--outcome", "retry", "--retry-after", "-1s"}, "want a positive duration"},
		{"a format of receiving that is none", []string{"subscribe", "b", "-o", "text"}, `--output "text": want table, wide, json, yaml, raw`},
		{"a sidecar that is no address", []string{"subscribe", "b", "--sidecar", "127.0.0.1:http"}, "want host:port or unix:/path"},
		{"a sample below 0", []string{"tail", "--sample", "-5"}, "--sample -5: want above 0, at most 100"},
		{"two topics to watch", []string{"tail", "a", "b"}, "accepts at most 1 arg"},
		{"a drain of something", []string{"drain", "billing"}, "unknown command"},
		{"a dead letter of nothing", []string{"deadletter", "show"}, "a subscription is missing"},
		{"a key of nothing", []string{"deadletter", "release"}, "a subscription is missing"},
		{"a payload of dead letters as text", []string{"deadletter", "list", "b", "-o", "raw"}, `--output "raw": want table, wide, json, yaml`},
		{"a format of jobs that is none", []string{"deadletter", "redrive", "b", "-o", "table"}, `--output "table": want text, json, yaml`},
		{"a format of keys that is none", []string{"deadletter", "held", "b", "-o", "wide"}, `--output "wide": want text, json, yaml`},
		{"a rate that goes back", []string{"deadletter", "redrive", "b", "--rate", "-1"}, "--rate -1: want at least 0.001"},
		{"days of a fraction", []string{"deadletter", "purge", "b", "--until", "1.5d"}, `--until "1.5d": want a time such as`},
		{"a limit below 0", []string{"deadletter", "list", "b", "-n", "-1"}, `invalid argument "-1"`},
		{"a directory that is not there", []string{"config", "validate", "/does/not/exist"}, "no such file"},
		{"no directory", []string{"config", "validate"}, "a directory is missing"},
		{"a field of no kind", []string{"config", "explain-field", "Topics"}, `no kind "Topics"`},
		{"a mesh of two directories", []string{"dev", "a", "b"}, "accepts at most 1 arg"},
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
			r := warren.Run(t, tt.args...)
			if r.Code != cli.ExitUsage || !strings.Contains(r.Err, tt.want) {
				t.Errorf("exit %d, want 2; stderr:\n%swant %q in it", r.Code, r.Err, tt.want)
			}
			if !strings.Contains(r.Err, "--help") {
				t.Errorf("stderr does not say where help is:\n%s", r.Err)
			}
			if r.Out != "" {
				t.Errorf("stdout is not empty:\n%s", r.Out)
			}
		})
	}
}

func TestHelpFits80ColumnsAndHasExamples(t *testing.T) {
	t.Parallel()
	root := cli.Root(&cli.App{Terminal: &terminal.Terminal{}}, commands...)
	for _, cmd := range append(below(root), root) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			t.Parallel()
			args := slices.Concat(strings.Fields(cmd.CommandPath())[1:], []string{"--help"})
			r := warren.Run(t, args...)
			if r.Code != cli.ExitOK || r.Err != "" {
				t.Errorf("exit %d, stderr:\n%s", r.Code, r.Err)
			}
			if cmd.Runnable() && cmd.Example == "" {
				t.Error("there is no example")
			}
			for line := range strings.Lines(r.Out) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
		})
	}
}

// below returns all commands below cmd.
func below(cmd *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, sub := range cmd.Commands() {
		all = append(append(all, sub), below(sub)...)
	}
	return all
}

func TestCompletionIsOffered(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if r := warren.Run(t, "completion", shell); r.Code != cli.ExitOK || !strings.Contains(r.Out, "warren") {
			t.Errorf("completion %s: exit %d, %d bytes", shell, r.Code, len(r.Out))
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if r := warren.Run(t, "version"); r.Code != cli.ExitOK || !strings.HasPrefix(r.Out, "warren ") || !strings.Contains(r.Out, "go1.") {
		t.Errorf("version: %+v", r)
	}
	if short, long := warren.Run(t, "--version"), warren.Run(t, "version"); short.Code != cli.ExitOK || short.Out != long.Out {
		t.Errorf("--version: %+v, version: %+v", short, long)
	}
	if r := warren.Run(t, "version", "-o", "json"); r.Code != cli.ExitOK || !strings.Contains(r.Out, `"platform":`) {
		t.Errorf("version -o json: %+v", r)
	}
}

// The image holds /warren; what the manifest runs before a pod stops must be a
// command this program knows.
func TestThePreStopHookOfTheManifestIsACommandOfThisProgram(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../manifests/shop/billing.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for doc := range strings.SplitSeq(string(text), "\n---\n") {
		var pod corev1.Pod
		if err := yaml.Unmarshal([]byte(doc), &pod); err != nil || pod.Kind != "Pod" {
			continue
		}
		for i := range pod.Spec.InitContainers {
			c := &pod.Spec.InitContainers[i]
			if c.Lifecycle == nil || c.Lifecycle.PreStop == nil || c.Lifecycle.PreStop.Exec == nil {
				t.Errorf("container %s has no preStop command", c.Name)
				continue
			}
			command := c.Lifecycle.PreStop.Exec.Command
			fake := &clitest.Admin{}
			r := warren.Call(t, clitest.Invocation{Env: map[string]string{"WARREN_SIDECAR_ADMIN": clitest.Serve(t, fake.Register)}}, command[1:]...)
			if command[0] != "/warren" || r.Code != cli.ExitOK || fake.Drained.GetPhase() != adminv1.DrainPhase_DRAIN_PHASE_DELIVERY {
				t.Errorf("preStop %q: %+v, asked for %v", command, r, fake.Drained)
			}
			ran++
		}
	}
	if ran != 1 {
		t.Errorf("%d preStop commands, want 1", ran)
	}
}

func TestAShortFlagMeansOneThing(t *testing.T) {
	t.Parallel()
	means := map[string]string{"n": "how many", "o": "output", "q": "quiet", "f": "file", "y": "yes", "r": "recursive", "h": "help"}
	same := map[string]string{"count": "how many", "limit": "how many"}
	root := cli.Root(&cli.App{Terminal: &terminal.Terminal{}}, commands...)
	for _, cmd := range append(below(root), root) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Shorthand != "" && means[f.Shorthand] != cmp.Or(same[f.Name], f.Name) {
				t.Errorf("%s: -%s is --%s, elsewhere %s", cmd.CommandPath(), f.Shorthand, f.Name, means[f.Shorthand])
			}
		})
	}
}

// Flags whose values are chosen from a list, or are names in the mesh.
var completed = []string{"output", "outcome", "kind", "namespace", "workload", "to", "reason", "phase", "broker", "log-level"}

func TestEveryFlagWithKnownValuesCompletes(t *testing.T) {
	t.Parallel()
	root := cli.Root(&cli.App{Terminal: &terminal.Terminal{}}, commands...)
	for _, cmd := range below(root) {
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			free := cmd.Name() == "dev" && (f.Name == "namespace" || f.Name == "workload") || // they make the mesh
				cmd.Name() == "subscribe" && f.Name == "reason" // it is text
			if _, ok := cmd.GetFlagCompletionFunc(f.Name); slices.Contains(completed, f.Name) && !free != ok {
				t.Errorf("%s --%s: completion %t", cmd.CommandPath(), f.Name, ok)
			}
		})
	}
}

func TestTheTabulatorKnowsTheMesh(t *testing.T) {
	t.Parallel()
	state := clitest.Troubled()
	state.Objects = append(state.Objects, &adminv1.Object{Kind: "EventTopic", Namespace: "shop", Name: "audit"})
	address := clitest.Serve(t, (&clitest.ControlPlane{State: state}).Register)
	complete := func(env string, args ...string) []string {
		t.Helper()
		r := warren.Call(t, clitest.Invocation{Env: map[string]string{"WARREN_CONTROL_PLANE_ADMIN": env}}, append([]string{"__complete"}, args...)...)
		var names []string
		for line := range strings.Lines(r.Out) {
			if !strings.HasPrefix(line, ":") {
				names = append(names, strings.TrimSpace(line))
			}
		}
		return names
	}
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"publish", ""}, "audit orders"},
		{[]string{"publish", "o"}, "orders"},
		{[]string{"subscribe", ""}, "billing"},
		{[]string{"tail", ""}, "audit billing orders"},
		{[]string{"deadletter", "redrive", ""}, "billing"},
		{[]string{"status", "billing"}, "billing.shop~1c20"},
		{[]string{"publish", "orders", ""}, ""},
		{[]string{"publish", "orders", "-o", ""}, "json text yaml"},
		{[]string{"subscribe", "billing", "--outcome", ""}, "ack dead-letter retry"},
		{[]string{"status", "--kind", ""}, "broker policy route subscription topic"},
		{[]string{"status", "--namespace", ""}, "shop"},
		{[]string{"tail", "--workload", "shop/"}, "shop/audit shop/billing shop/checkout"},
		{[]string{"publish", "orders", "--workload", "check"}, "checkout.shop~7f3a"},
		{[]string{"deadletter", "purge", "billing", "--reason", ""}, "ack-deadline attempts-exhausted invalid-event key-held rejected retries-elapsed"},
		{[]string{"deadletter", "redrive", "billing", "--to", ""}, "subscription topic"},
		{[]string{"drain", "--phase", ""}, "all delivery"},
		{[]string{"dev", "--broker", ""}, "declared memory"},
	}
	for _, tt := range tests {
		if got := strings.Join(slices.Sorted(slices.Values(complete(address, tt.args...))), " "); got != tt.want {
			t.Errorf("warren %s<TAB>: %q, want %q", strings.Join(tt.args, " "), got, tt.want)
		}
	}
	if got := complete(clitest.Nobody(t), "publish", ""); len(got) > 0 {
		t.Errorf("without a control plane: %q", got)
	}
}
