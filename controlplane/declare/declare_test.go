package declare_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/controlplane/source/file"
)

// files is the source of YAML files.
func files(_ testing.TB, text string) (declare.Set, []declare.Problem) {
	return file.Decode(file.File{Name: "a.yaml", Data: []byte(text)})
}

// cluster is a source as Kubernetes is one: objects that came as JSON, in no file.
func cluster(t testing.TB, text string) (declare.Set, []declare.Problem) {
	t.Helper()
	return declare.Declare(clusterBatch(t, text))
}

func clusterBatch(t testing.TB, text string) declare.Batch {
	t.Helper()
	batch := declare.Batch{Source: "kubernetes"}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc map[string]any
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return batch
		}
		if err != nil {
			t.Fatal(err)
		}
		if doc == nil {
			continue
		}
		data, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		object, known := v1alpha1.New(fmt.Sprint(doc["kind"]))
		if !known {
			t.Fatalf("no kind %v", doc["kind"])
		}
		if err := json.Unmarshal(data, object); err != nil {
			t.Fatal(err)
		}
		batch.Objects = append(batch.Objects, declare.Check(declare.Object{Value: object}))
	}
}

// sources are all there are, and one that is yet to come.
var sources = map[string]func(testing.TB, string) (declare.Set, []declare.Problem){"files": files, "cluster": cluster}

// told is what the problems say, without their places.
func told(problems []declare.Problem) []string {
	var out []string
	for _, p := range problems {
		out = append(out, fmt.Sprintf("%s: %s: %s (%s)", p.Object, p.Field, p.Message, p.Kind))
	}
	slices.Sort(out)
	return out
}

func object(kind, name, spec string) string {
	return "---\n" + head + kind + "\nmetadata: {name: " + name + ", namespace: shop}\nspec: " + spec + "\n"
}

func TestAnObjectMeansTheSameWhereverItIsDeclared(t *testing.T) {
	t.Parallel()
	const ok = `{brokerRef: {name: main}}`
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"nothing wrong", object("EventBroker", "main", "{type: Memory}") + object("EventTopic", "orders", ok), nil},
		{"a value out of range", object("EventTopic", "orders", `{brokerRef: {name: main}, publish: {priority: 10}}`),
			[]string{"EventTopic shop/orders: spec.publish.priority: is 10: want 0 to 9 (Invalid)"}},
		{"two values of one object", object("EventBroker", "main", `{topology: Mange, nodes: []}`),
			[]string{
				`EventBroker shop/main: spec.nodes: is empty: a broker of type RabbitMQ needs at least one node, such as {address: "127.0.0.1:5672"} (Invalid)`,
				`EventBroker shop/main: spec.topology: is "Mange": want one of Manage, Verify, Ignore (did you mean "Manage"?) (Invalid)`,
			}},
		{"fields that contradict each other", object("EventBroker", "main", `{type: Memory, vhost: v}`),
			[]string{"EventBroker shop/main: spec.vhost: has no meaning for a broker of type Memory, which lives inside one process: remove it (Invalid)"}},
		{"a default that depends on another field", object("EventRoute", "r", `{parentRefs: [{name: orders}], rules: [{retry: {backoff: {maxInterval: 1us}}}]}`),
			[]string{"EventRoute shop/r: spec.rules[0].retry.backoff.baseInterval: is 1µs: want at least 1ms (Invalid)"}},
		{"what is not supported yet", object("EventPolicy", "p", `{}`),
			[]string{"EventPolicy shop/p: kind: kind EventPolicy is not supported yet: remove it (UnsupportedValue)"}},
		{"a name that is none", object("EventTopic", "Orders", ok),
			[]string{`EventTopic shop/Orders: metadata.name: is "Orders": want an RFC 1123 name of a-z, 0-9, '-' and '.', with a letter or digit at both ends, at most 253 characters (Invalid)`}},
		{"no name", "---\n" + head + "EventTopic\nmetadata: {namespace: shop}\nspec: " + ok + "\n",
			[]string{
				`EventTopic shop/: metadata.name: is missing: give the object a name, such as "orders" (Invalid)`,
				"EventTopic shop/: spec.exchange.name: is empty: give the exchange a name (Invalid)",
			}},
		{"no namespace", "---\n" + head + "EventTopic\nmetadata: {name: orders}\nspec: {brokerRef: {name: main}, routingKey: \"{\"}\n",
			[]string{`EventTopic default/orders: spec.routingKey: template "{": '{' without '}': want text with {attribute} placeholders, such as "{type}" (Invalid)`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fromFiles, _ := files(t, c.text)
			for name, source := range sources {
				set, problems := source(t, c.text)
				if got := told(problems); !slices.Equal(got, c.want) {
					t.Errorf("%s: got:\n%s\nwant:\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
				same(t, name, set, fromFiles)
				for _, p := range problems {
					if located := p.File == "a.yaml" && p.Line > 0; located != (name == "files") {
						t.Errorf("%s: the problem is at %s:%d", name, p.File, p.Line)
					}
				}
			}
		})
	}
}

// same checks that two sets hold the same objects, wherever they are from, and are
// resolved to the same.
func same(t *testing.T, name string, got, want declare.Set) {
	t.Helper()
	if len(got.Objects) != len(want.Objects) || got.Incomplete != want.Incomplete {
		t.Fatalf("%s: got %d objects, incomplete %t, want %d, %t", name, len(got.Objects), got.Incomplete, len(want.Objects), want.Incomplete)
	}
	for i := range got.Objects {
		if !reflect.DeepEqual(got.Objects[i].Value, want.Objects[i].Value) {
			t.Errorf("%s: got %+v\nwant %+v", name, got.Objects[i].Value, want.Objects[i].Value)
		}
	}
	is, isWrong := resolve.Resolve(got)
	should, shouldWrong := resolve.Resolve(want)
	if !reflect.DeepEqual(is.Config, should.Config) || !slices.Equal(told(isWrong), told(shouldWrong)) {
		t.Errorf("%s: resolved to %+v with problems %v\nwant %+v with %v", name, is.Config, isWrong, should.Config, shouldWrong)
	}
}

func TestDefaultsOfAWholeShopAreTheSameForEverySource(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../source/file/testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, problems := files(t, string(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got, problems := cluster(t, string(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	same(t, "cluster", got, want)
	for i := range got.Objects {
		if topic, ok := got.Objects[i].Value.(*v1alpha1.EventTopic); ok && *topic.Spec.Publish.MaxEventBytes != v1alpha1.DefaultMaxEventBytes {
			t.Errorf("publish.maxEventBytes is %d, want the default", *topic.Spec.Publish.MaxEventBytes)
		}
	}
}

// Two objects of one name are a problem wherever they stand; the first is taken.
func TestDuplicatesAreFoundOverAllSources(t *testing.T) {
	t.Parallel()
	topic := func(key string) string {
		return object("EventTopic", "orders", "{brokerRef: {name: main}, routingKey: "+key+"}")
	}
	located := declare.Object{Value: &v1alpha1.EventTopic{ObjectMeta: v1alpha1.ObjectMeta{Name: "orders", Namespace: "shop"}}, File: "a.yaml", Line: 2}
	located.Value.(*v1alpha1.EventTopic).Spec = v1alpha1.EventTopicSpec{BrokerRef: v1alpha1.LocalRef{Name: "main"}, RoutingKey: "first"}
	inFile := declare.Batch{Objects: []declare.Checked{declare.Check(located)}}

	for _, c := range []struct {
		name, want string
		declare    func() (declare.Set, []declare.Problem)
	}{
		{"in one file", "a.yaml:9: metadata.name: EventTopic shop/orders is already declared at a.yaml:2: remove or rename one of the two",
			func() (declare.Set, []declare.Problem) { return files(t, topic("first")+topic("second")) }},
		{"in no file", "EventTopic shop/orders: metadata.name: EventTopic shop/orders is already declared in kubernetes: remove or rename one of the two",
			func() (declare.Set, []declare.Problem) { return cluster(t, topic("first")+topic("second")) }},
		{"first in a file", "EventTopic shop/orders: metadata.name: EventTopic shop/orders is already declared at a.yaml:2: remove or rename one of the two",
			func() (declare.Set, []declare.Problem) {
				return declare.Declare(inFile, clusterBatch(t, topic("second")))
			}},
		{"then in a file", "a.yaml:2: metadata.name: EventTopic shop/orders is already declared in kubernetes: remove or rename one of the two",
			func() (declare.Set, []declare.Problem) {
				return declare.Declare(clusterBatch(t, topic("first")), inFile)
			}},
		{"in a source without a name", "EventTopic shop/orders: metadata.name: EventTopic shop/orders is already declared: remove or rename one of the two",
			func() (declare.Set, []declare.Problem) {
				unnamed := clusterBatch(t, topic("first")+topic("second"))
				unnamed.Source = ""
				return declare.Declare(unnamed)
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			set, problems := c.declare()
			if len(problems) != 1 || problems[0].String() != c.want || problems[0].Kind != v1alpha1.Conflict {
				t.Errorf("got %v, want %s", problems, c.want)
			}
			if len(set.Objects) != 1 || set.Objects[0].Value.(*v1alpha1.EventTopic).Spec.RoutingKey != "first" {
				t.Errorf("got %+v, want the first alone", set.Objects)
			}
		})
	}
}

func TestABatchTellsWhatItCouldNotRead(t *testing.T) {
	t.Parallel()
	set, problems := declare.Declare(
		declare.Batch{Problems: []declare.Problem{{File: "b.yaml", Message: "is not YAML"}}, Incomplete: true},
		clusterBatch(t, object("EventBroker", "main", "{}")+object("EventBroker", "alt", "{}")),
	)
	var got []string
	for _, p := range problems {
		text, _, _ := strings.Cut(p.String(), ": a broker")
		got = append(got, text)
	}
	want := []string{"EventBroker shop/alt: spec.nodes: is empty", "EventBroker shop/main: spec.nodes: is empty", "b.yaml: is not YAML"}
	if !slices.Equal(got, want) || !set.Incomplete || len(set.Objects) != 2 {
		t.Errorf("got %q, incomplete %t, %d objects; want %q", got, set.Incomplete, len(set.Objects), want)
	}
}

// What could not be read explains what validation finds about the same field, or one
// inside or around; other fields are told as well.
func TestAProblemOfReadingIsToldOnce(t *testing.T) {
	t.Parallel()
	broker := func() declare.Object {
		return declare.Object{
			Value: &v1alpha1.EventBroker{ObjectMeta: v1alpha1.ObjectMeta{Name: "main"}, Spec: v1alpha1.EventBrokerSpec{Topology: "None"}},
			File:  "a.yaml", Line: 1, Lines: map[string]int{"spec": 3, "spec.topology": 5},
		}
	}
	for _, c := range []struct {
		field string // that could not be read
		want  []string
	}{
		{"spec.nodes", []string{"a.yaml:4: spec.nodes: is text", "a.yaml:5: spec.topology: is \"None\""}},
		{"spec.nodes[0].address", []string{"a.yaml:4: spec.nodes[0].address: is text", "a.yaml:5: spec.topology: is \"None\""}},
		{"spec", []string{"a.yaml:4: spec: is text"}},
		{"spec.node", []string{"a.yaml:3: spec.nodes: is empty", "a.yaml:4: spec.node: is text", "a.yaml:5: spec.topology: is \"None\""}},
	} {
		checked := declare.Check(broker(), declare.Problem{File: "a.yaml", Line: 4, Field: c.field, Message: "is text"})
		_, problems := declare.Declare(declare.Batch{Objects: []declare.Checked{checked}})
		var got []string
		for _, p := range problems {
			text, _, _ := strings.Cut(p.String(), ": want")
			text, _, _ = strings.Cut(text, ": a broker")
			got = append(got, text)
			if p.Object.String() != "EventBroker default/main" {
				t.Errorf("%s: the problem is of %s", c.field, p.Object)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s could not be read: got %q, want %q", c.field, got, c.want)
		}
	}
}
