package file

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
)

func texts(problems []declare.Problem) string {
	lines := make([]string, len(problems))
	for i, p := range problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func TestDecodeReadsEveryFieldOfTheExample(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	set, problems := Decode(File{"shop.yaml", data})
	if len(problems) > 0 || set.Incomplete || len(set.Objects) != 4 {
		t.Fatalf("got %d objects, incomplete=%v, problems:\n%s", len(set.Objects), set.Incomplete, texts(problems))
	}
	broker := set.Objects[0].Value.(*v1alpha1.EventBroker)
	if n := broker.Spec.Nodes[1]; n.Address != "127.0.0.1:5673" || n.Zone != "b" || n.Priority != 1 || broker.Labels["team"] != "a" || broker.Kind != "EventBroker" {
		t.Errorf("broker: got %+v", broker)
	}
	rule := set.Objects[2].Value.(*v1alpha1.EventRoute).Spec.Rules[0]
	if rule.Filters[1].Not.Exact["source"] != "/test" || *rule.BackendRefs[1].Weight != 5 || *rule.Retry.Attempts != 4 ||
		rule.Retry.Backoff.MaxInterval.Duration != 2*time.Second || rule.Retry.On[3] != "channel-closed" {
		t.Errorf("rule: got %+v", rule)
	}
	sub := set.Objects[3]
	spec := sub.Value.(*v1alpha1.EventSubscription).Spec
	if spec.AckDeadline.Duration != 30*time.Second || spec.Selector.MatchExpressions[0].Values[1] != "b" || *spec.Queue.Prefetch != 64 {
		t.Errorf("subscription: got %+v", spec)
	}
	for path, line := range map[string]int{"": 44, "spec.ackDeadline": 52, "spec.selector.matchLabels[app]": 49} {
		if got := sub.LineOf(path); got != line {
			t.Errorf("line of %q: got %d, want %d", path, got, line)
		}
	}
}

const head = "apiVersion: warrenmesh.io/v1alpha1\n"

func TestDecodeSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	topic := func(spec string) string {
		return head + "kind: EventTopic\nmetadata: {name: orders}\nspec:\n  brokerRef: {name: main}\n" + spec
	}
	route := func(rule string) string {
		return head + "kind: EventRoute\nmetadata: {name: r}\nspec:\n  parentRefs: [{name: orders}]\n  rules:\n" + rule
	}
	cases := []struct{ name, yaml, want string }{
		{"an unknown field", topic("  routingkey: a\n"), `a.yaml:6: spec.routingkey: unknown field "routingkey" (did you mean "routingKey"?): want one of brokerRef, exchange, partitions, publish, routingKey`},
		{"an unknown field in a list", route("  - backendRefs:\n    - name: a\n      wieght: 5\n"), `a.yaml:9: spec.rules[0].backendRefs[0].wieght: unknown field "wieght" (did you mean "weight"?): want one of kind, name, namespace, weight`},
		{"a misspelt filter dialect, once", route("  - filters: [{exakt: {type: a}}]\n"), `a.yaml:7: spec.rules[0].filters[0].exakt: unknown field "exakt" (did you mean "exact"?): want one of all, any, cesql, exact, not, prefix, suffix`},
		{"a value out of range", route("  - backendRefs:\n    - name: a\n    - name: b\n      weight: -1\n"), `a.yaml:10: spec.rules[0].backendRefs[1].weight: is -1: want 0 to 1000000`},
		{"text for a number", route("  - retry: {attempts: many}\n"), `a.yaml:7: spec.rules[0].retry.attempts: is the text "many": want a whole number of at most 32 bits`},
		{"a number that does not fit", route("  - retry: {attempts: 3000000000}\n"), `a.yaml:7: spec.rules[0].retry.attempts: is the number 3000000000: want a whole number of at most 32 bits`},
		{"a number for text", topic("  routingKey: 12\n"), `a.yaml:6: spec.routingKey: is the number 12: want text, so put it in quotes: "12"`},
		{"a date for text", topic("  routingKey: 2026-01-02\n"), `a.yaml:6: spec.routingKey: is the date 2026-01-02: want text, so put it in quotes: "2026-01-02"`},
		{"empty text", topic("  routingKey: \"\"\n"), `a.yaml:6: spec.routingKey: is empty: give it a value or remove it`},
		{"text for a truth value", topic("  publish: {mandatory: sure}\n"), `a.yaml:6: spec.publish.mandatory: is the text "sure": want true or false`},
		{"a duration without a unit", topic("  publish:\n    ttl: 5\n"), `a.yaml:7: spec.publish.ttl: is the number 5: want a duration with its unit, such as 500ms, 2s or 5m`},
		{"a list for a mapping", topic("  publish: []\n"), `a.yaml:6: spec.publish: is a list: want a mapping of fields to values`},
		{"a mapping for a list", route("  - filters: {exact: {type: a}}\n"), `a.yaml:7: spec.rules[0].filters: is a mapping: want a list`},
		{"an empty element", route("  - filters:\n    -\n"), `a.yaml:8: spec.rules[0].filters[0]: is empty: give it a value or remove it`},
		{"a duplicate key", topic("  routingKey: a\n  routingKey: b\n"), `a.yaml:7: spec.routingKey: is set twice, first on line 6: remove one of the two`},
		{"a merge key", "x: &x {a: b}\n" + topic("  publish:\n    <<: {ttl: 5s}\n"), "a.yaml:1: x: unknown field \"x\": want one of apiVersion, kind, metadata, spec\na.yaml:8: spec.publish: has a merge key \"<<\", which is not supported: write the fields out"},
		{"status", topic("status: {}\n"), `a.yaml:6: status: is set by the system: remove it; want only apiVersion, kind, metadata, spec`},
		{"metadata that Kubernetes writes", head + "kind: EventPolicy\nmetadata: {name: p, uid: x}\n", "a.yaml:2: kind: kind EventPolicy is not supported yet: remove it\na.yaml:3: metadata.uid: is set by the system: remove it; want only name, namespace, labels, annotations"},
		{"what is not supported yet", route("  - mirror: {topicRef: {name: audit}}\n"), `a.yaml:7: spec.rules[0].mirror: mirror is not supported yet: remove it`},
		{"a missing name", head + "kind: EventTopic\nspec: {brokerRef: {name: main}, exchange: {name: x}}\n", `a.yaml:1: metadata.name: is missing: give the object a name, such as "orders"`},
		{"an unknown kind", head + "kind: EventTopik\n", `a.yaml:2: kind: is "EventTopik": want one of EventBroker, EventTopic, EventRoute, EventSubscription, EventPolicy (did you mean "EventTopic"?)`},
		{"no kind", head, `a.yaml:1: kind: is missing: want one of EventBroker, EventTopic, EventRoute, EventSubscription, EventPolicy`},
		{"another version", "apiVersion: warrenmesh.io/v1\nkind: EventTopic\nmetadata: {name: a}\nspec: {brokerRef: {name: b}}\n", `a.yaml:1: apiVersion: is "warrenmesh.io/v1": want warrenmesh.io/v1alpha1`},
		{"no object at all", "- a\n", `a.yaml:1: is a list: want an object with apiVersion, kind, metadata and spec`},
		{"broken YAML", "a: b\nc: [\n", `a.yaml:2: is not YAML: did not find expected node content: fix the indentation, quotes or brackets here or just above`},
		{"a bomb of aliases", head + "kind: EventRoute\nmetadata: {name: r}\nspec:\n  parentRefs: [{name: a}]\n  rules: [{filters: &f [{all: *f}, {any: *f}]}]\n", `a.yaml:6: spec.rules[0].filters[0]` + strings.Repeat(".all[0]", 30) + `: is nested deeper than 64 levels: flatten it`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, problems := Decode(File{"a.yaml", []byte(c.yaml)})
			if got := texts(problems); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

func TestDecodeReportsAllProblemsOfAllFilesInOrder(t *testing.T) {
	t.Parallel()
	topic := head + "kind: EventTopic\nmetadata: {name: orders}\nspec: {brokerRef: {name: main}, colour: red}\n"
	set, problems := Decode(File{"a.yaml", []byte(topic)}, File{"b.yml", []byte("---\n" + topic)}, File{"c.yaml", []byte("{")})
	want := `a.yaml:4: spec.colour: unknown field "colour": want one of brokerRef, exchange, partitions, publish, routingKey
b.yml:4: metadata.name: EventTopic default/orders is already declared at a.yaml:1: remove or rename one of the two
b.yml:5: spec.colour: unknown field "colour": want one of brokerRef, exchange, partitions, publish, routingKey
c.yaml:1: is not YAML: did not find expected node content: fix the indentation, quotes or brackets here or just above`
	if got := texts(problems); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if len(set.Objects) != 1 || !set.Incomplete {
		t.Errorf("got %d objects, incomplete=%v; want the first topic and incomplete", len(set.Objects), set.Incomplete)
	}
	if problems[0].Object.String() != "EventTopic default/orders" {
		t.Errorf("the problem names %q", problems[0].Object)
	}
}

func TestDecodeBoundsWhatADocumentMayCost(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(head + "kind: EventRoute\nmetadata: {name: r}\nspec:\n  rules:\n")
	for range 200 {
		b.WriteString("  - {colour: red}\n")
	}
	if _, problems := Decode(File{"a.yaml", []byte(b.String())}); len(problems) < 50 || len(problems) > maxProblems+5 {
		t.Errorf("200 mistakes gave %d problems, want about %d", len(problems), maxProblems)
	}

	wide := strings.Repeat("*a,", 400)
	bomb := head + "kind: EventRoute\nmetadata: {name: r}\nspec:\n  rules:\n  - filters: [&a {exact: {type: x}}, &b {any: [" + wide + "]}, {any: [" + strings.ReplaceAll(wide, "a", "b") + "]}]\n"
	_, problems := Decode(File{"a.yaml", []byte(bomb)})
	if got := texts(problems); !strings.Contains(got, "more than 100000 values") {
		t.Errorf("a document of 160,000 values gave %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	seed, err := os.ReadFile("testdata/shop.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	for _, s := range []string{
		"", "---\n---\n", "{", "a: &a [*a, *a]", "? [a]\n: b", "!!binary a", head + "kind: EventRoute\nspec: {rules: &r [{filters: *r}]}",
		head + "kind: EventTopic\nmetadata: null\nspec: 3", "\xff\xfe", head + "kind: EventPolicy\nspec: {loadBalancer: {a: [1, {b: c}]}}", "%YAML 1.1\n---\n<<: {a: b}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		set, problems := Decode(File{"f.yaml", data})
		if set.Incomplete && len(problems) == 0 {
			t.Error("text was dropped without a word")
		}
		for _, p := range problems {
			if p.File != "f.yaml" || p.Message == "" {
				t.Errorf("a problem without place or message: %+v", p)
			}
		}
		for i := range set.Objects {
			if o := &set.Objects[i]; o.Line < 1 || o.Value.GetName() == "" || o.Value.GetNamespace() == "" {
				t.Errorf("an object without a place or a name: %+v", o)
			}
		}
	})
}
