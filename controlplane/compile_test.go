package controlplane

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/source/file"
)

func TestCheckCountsWhatIsDeclared(t *testing.T) {
	t.Parallel()
	summary, problems := Check(shopDir(t))
	if len(problems) > 0 {
		t.Fatalf("unexpected problems: %v", problems)
	}
	want := map[string]int{"EventBroker": 1, "EventTopic": 2, "EventRoute": 1, "EventSubscription": 2, "EventPolicy": 0}
	for kind, n := range want {
		if got, ok := summary.Objects[kind]; !ok || got != n {
			t.Errorf("%s: got %d, want %d", kind, got, n)
		}
	}
	if summary.Resources != 8 { // 2 a topic, 2 a broker, 1 a subscription
		t.Errorf("got %d resources, want 8", summary.Resources)
	}
}

func TestCheckReturnsTheProblemsOfEveryStage(t *testing.T) {
	t.Parallel()
	dir := shopDir(t)
	edit(t, dir, map[string]string{
		"routes.yaml": strings.Replace(routeYAML(1, 1), "name: split", "nam: split", 1),
		"subs.yaml":   subYAML("billing", 0) + "---\n" + strings.Replace(subYAML("audit", 1), "orders", "oders", 1),
	})
	_, problems := Check(dir)
	var got []string
	for _, p := range problems {
		text, _, _ := strings.Cut(p.String(), ": want")
		got = append(got, text)
	}
	want := `routes.yaml:7: spec.rules[0].nam: unknown field "nam" (did you mean "name"?)
subs.yaml:7: spec.queue.prefetch: is 0
subs.yaml:13: spec.topicRef.name: EventTopic shop/oders is not declared (did you mean "orders"?): declare it, or name one that is: orders, orders-next`
	if strings.Join(got, "\n") != want {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), want)
	}
}

func TestTheExamplesAreInOrder(t *testing.T) {
	t.Parallel()
	if _, problems := Check("../examples/shop/config"); len(problems) > 0 {
		t.Errorf("the shop's configuration: %v", problems)
	}
}

func TestTheVersionIsThatOfTheContent(t *testing.T) {
	t.Parallel()
	version := func(files map[string]string) string {
		dir := t.TempDir()
		edit(t, dir, files)
		set, problems := load(t, dir)
		c, problems := compile(set, problems, new(encoder))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return c.version
	}
	same, moved, selected, weighed := shop(), shop(), shop(), shop()
	moved["topics.yaml"], moved["other.yaml"] = topicYAML("orders-next"), topicYAML("orders")
	selected["subs.yaml"] = strings.Replace(selected["subs.yaml"], "app: audit", "app: other", 1)
	weighed["routes.yaml"] = routeYAML(99, 1)
	base := version(same)
	if version(moved) != base {
		t.Error("objects in other files and another order make another version")
	}
	if version(selected) == base || version(weighed) == base {
		t.Error("a change of a selector or a weight keeps the version")
	}
}

// A topic that no response can hold is refused where it is declared, before any
// sidecar sees it.
func TestATopicTooLargeForAResponseIsRefused(t *testing.T) {
	t.Parallel()
	rules := func(n int) string {
		var doc strings.Builder
		doc.WriteString(head + "EventBroker\nmetadata: {name: main, namespace: shop}\nspec: {type: Memory}\n---\n" + sharded("") +
			"---\n" + head + "EventRoute\nmetadata: {name: r, namespace: shop}\nspec:\n  parentRefs: [{kind: EventTopic, name: orders}]\n  rules:\n")
		long := strings.Repeat("s", 1<<20)
		for i := range n {
			fmt.Fprintf(&doc, "  - {name: r%d, filters: [{exact: {subject: %s}}]}\n", i, long)
		}
		return doc.String()
	}
	_, problems := compile(declared(t, rules(16)), nil, new(encoder))
	if len(problems) != 1 || problems[0].Object.Name != "orders" || problems[0].Line == 0 || !strings.Contains(problems[0].Message, "a sidecar receives at most 15728640") {
		t.Errorf("got %v", problems)
	}
}

// A set is encoded to the same whether the encoder knows the one before or not, and
// what has changed is not taken from memory.
func TestWhatIsRememberedIsWhatWouldBeEncoded(t *testing.T) {
	t.Parallel()
	var remembers encoder
	load := func(change map[string]string) declare.Set {
		files := shop()
		maps.Copy(files, change)
		var list []file.File
		for _, name := range slices.Sorted(maps.Keys(files)) {
			list = append(list, file.File{Name: name, Data: []byte(files[name])})
		}
		set, problems := file.Decode(list...)
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		return set
	}
	versions := map[string]bool{}
	for _, change := range []map[string]string{
		nil, nil, {"routes.yaml": routeYAML(50, 50)}, {"subs.yaml": subYAML("billing", 3)}, {"routes.yaml": routeYAML(100, 0)},
	} {
		set := load(change)
		got, problems := compile(set, nil, &remembers)
		want, _ := compile(set, nil, new(encoder))
		if len(problems) > 0 || got.version != want.version || !reflect.DeepEqual(got.versions, want.versions) {
			t.Errorf("after %v: %v\n%v, want\n%v", change, problems, got.versions, want.versions)
		}
		versions[got.version] = true
	}
	if len(versions) != 3 {
		t.Errorf("%d different sets, want 3", len(versions))
	}
}
