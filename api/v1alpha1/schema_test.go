package v1alpha1

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/api/schema"
	"github.com/warrenmesh/warren/api/schema/schematest"
)

// document is the object as a file declares it, without the fields that the system
// fills in.
func document(t testing.TB, obj Object) map[string]any {
	t.Helper()
	m := copyOf(t, obj)
	m["apiVersion"], m["kind"] = APIVersion, obj.KindName()
	delete(m, "status")
	if meta, ok := m["metadata"].(map[string]any); ok {
		delete(meta, "creationTimestamp")
	}
	return m
}

// copyOf encodes a value as JSON and decodes it.
func copyOf(t testing.TB, v any) map[string]any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// beyond lists the refusals that a schema cannot express. They compare a field with
// another field, with the value of a duration, or with the contents of a list.
var beyond = []string{
	"annotations of more than Kubernetes takes",
	"a node named twice", "a gap in priorities",
	"a heartbeat below a second", "a ttl below a millisecond", "a confirm timeout of 0", "a timeout of 0",
	"an ack deadline that is too short", "an ack deadline that is too long",
	"a bound of retries that is too short", "a bound of retries that is too long", "a dedupe window that is too short", "a dedupe window that is too long",
	"a try that outlasts the timeout", "a backoff that shrinks", "a backoff below a millisecond",
	"a retry that waits longer than a queue may", "a first retry that waits longer than a queue may",
	"a template that is too long",
	"a parent of another namespace", "a parent named twice", "two rules of one name", "weights that sum to 0", "a backend named twice",
	"filters without a bottom", "dead letters in the own queue",
	"a queue name that leaves no room for the dead letters", "a queue name that leaves no room for the retries", "delays by the broker with order",
}

// leftOut lists refusals of an empty value that JSON leaves out. The decoder refuses
// such a value in a file first.
var leftOut = []string{"an empty list of conditions", "an empty list of backends", "an empty list of filters", "a filter without attributes"}

func TestJSONSchemaRefusesWhatValidateRefuses(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, c := range slices.Concat(refusals(), later()) {
		names[c.name] = true
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := schematest.Compile(t, c.obj.KindName())
			doc := document(t, c.obj)
			if slices.Contains(leftOut, c.name) {
				doc = withEmpty(t, doc, c.path)
			}
			err := s.Validate(doc)
			if seen := err != nil; seen == slices.Contains(beyond, c.name) {
				t.Errorf("Validate says %v, the schema says %v", c.errs, err)
			}
		})
	}
	for _, name := range slices.Concat(beyond, leftOut) {
		if !names[name] {
			t.Errorf("there is no refusal %q", name)
		}
	}
}

// withEmpty sets the field at path to an empty list or map.
func withEmpty(t *testing.T, doc map[string]any, path string) map[string]any {
	t.Helper()
	var empty any = []any{}
	if strings.HasSuffix(path, "exact") {
		empty = map[string]any{}
	}
	return put(doc, split(path), empty)
}

func TestJSONSchemaAcceptsWhatDefaultMakes(t *testing.T) {
	t.Parallel()
	for _, obj := range []Object{validBroker(), validTopic(), validRoute(), validSubscription(),
		&EventBroker{ObjectMeta: ObjectMeta{Name: "m"}, Spec: EventBrokerSpec{Type: BrokerMemory}}} {
		Default(obj)
		for _, name := range []string{obj.KindName(), schema.All} {
			if err := schematest.Compile(t, name).Validate(document(t, obj)); err != nil {
				t.Errorf("%s: %v", NameOf(obj), err)
			}
		}
	}
}

// leaf is one field of a kind. Its path takes the first element of every list.
type leaf struct {
	kind, path string
	node       *schema.Node
	required   bool
}

// leaves lists the supported fields below a node. It does not enter types that contain
// themselves.
func leaves(kind, path string, n *schema.Node) []leaf {
	var out []leaf
	for _, p := range n.Properties {
		if p.Node.Unsupported || p.Node.Ref != "" {
			continue
		}
		at := string(Path(path).Child(p.Name))
		out = append(out, leaf{kind, at, p.Node, slices.Contains(n.Required, p.Name)})
		inner := p.Node
		if inner.Type == "array" {
			inner, at = inner.Items, at+"[0]"
		}
		out = append(out, leaves(kind, at, inner)...)
	}
	return out
}

// specs lists the fields of every supported kind's spec.
func specs(t *testing.T) []leaf {
	t.Helper()
	var out []leaf
	for _, kind := range Kinds() {
		n, ok := schema.Kind(kind)
		if !ok {
			t.Fatalf("there is no schema of %s", kind)
		}
		if spec, _ := n.Properties.Lookup("spec"); !n.Unsupported {
			out = append(out, leaves(kind, "spec", spec)...)
		}
	}
	return out
}

func valid(kind string) Object {
	return map[string]Object{
		KindEventBroker: validBroker(), KindEventTopic: validTopic(), KindEventRoute: validRoute(), KindEventSubscription: validSubscription(),
	}[kind]
}

// attempt sets one field of a valid object and returns what Validate says about it.
func (l leaf) attempt(t *testing.T, value any) []FieldError {
	t.Helper()
	doc := copyOf(t, valid(l.kind))
	if slices.Contains([]string{"spec.retry.maxElapsed", "spec.deadLetter.keyPolicy"}, l.path) {
		doc = put(doc, split("spec.ordering"), OrderingPerKey) // both fields need it
	}
	text, err := json.Marshal(put(doc, split(l.path), value))
	if err != nil {
		t.Fatal(err)
	}
	obj, _ := New(l.kind)
	if err := json.Unmarshal(text, obj); err != nil {
		t.Fatalf("%s.%s = %v: %v", l.kind, l.path, value, err)
	}
	Default(obj)
	var about []FieldError
	for _, e := range Validate(obj) {
		if e.Path == l.path && !strings.Contains(e.Message, "leave no gap") { // this is about the other nodes
			about = append(about, e)
		}
	}
	return about
}

func (l leaf) accepts(t *testing.T, value any) {
	t.Helper()
	if errs := l.attempt(t, value); len(errs) > 0 {
		t.Errorf("%s.%s: the schema allows %v, Validate says %v", l.kind, l.path, value, errs)
	}
}

func (l leaf) refuses(t *testing.T, value any, kind ErrorKind) {
	t.Helper()
	if errs := l.attempt(t, value); len(errs) == 0 || errs[0].Kind != kind {
		t.Errorf("%s.%s: the schema refuses %v, Validate says %v", l.kind, l.path, value, errs)
	}
}

func TestJSONSchemaHasTheBoundsOfValidate(t *testing.T) {
	t.Parallel()
	numbers, durations, enums := 0, 0, 0
	for _, l := range specs(t) {
		if n := l.node; n.Minimum != nil && n.Maximum != nil {
			numbers++
			l.accepts(t, *n.Minimum)
			l.accepts(t, *n.Maximum)
			l.refuses(t, *n.Minimum-1, Invalid)
			l.refuses(t, *n.Maximum+1, Invalid)
		}
		if l.node.Duration {
			durations++
			checkDuration(t, l)
		}
		if len(l.node.Enum) > 0 {
			enums++
			for _, value := range l.node.Enum {
				l.accepts(t, value)
			}
			for _, value := range l.node.UnsupportedValues {
				l.refuses(t, value, Unsupported)
			}
			l.refuses(t, l.node.Enum[0]+"x", Invalid)
		}
	}
	if numbers < 8 || durations < 8 || enums < 10 {
		t.Errorf("checked %d numbers, %d durations and %d enumerations", numbers, durations, enums)
	}
}

func checkDuration(t *testing.T, l leaf) {
	t.Helper()
	low, err := time.ParseDuration(l.node.Low)
	if err != nil {
		t.Errorf("%s.%s: minimum: %v", l.kind, l.path, err)
	}
	if strings.HasSuffix(l.path, "maxInterval") {
		return // the base interval, which is set too, is the bound
	}
	l.accepts(t, low.String())
	l.refuses(t, (low - time.Nanosecond).String(), Invalid)
	if l.node.High == "" {
		return
	}
	high, err := time.ParseDuration(l.node.High)
	if err != nil {
		t.Errorf("%s.%s: maximum: %v", l.kind, l.path, err)
	}
	l.accepts(t, high.String())
	l.refuses(t, (high + time.Second).String(), Invalid)
}

func TestJSONSchemaHasTheDefaultsOfDefault(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, l := range specs(t) {
		declared := copyOf(t, valid(l.kind))
		obj := valid(l.kind)
		Default(obj)
		got, filled := lookup(copyOf(t, obj), split(l.path))
		_, given := lookup(declared, split(l.path))
		switch _, isObject := got.(map[string]any); {
		case l.node.Default != nil && filled:
			checked++
			if text := strings.TrimSuffix(strings.ReplaceAll(fmt.Sprint(got), "m0s", "m"), ".0"); text != fmt.Sprint(l.node.Default) && !reflect.DeepEqual(got, l.node.Default) {
				t.Errorf("%s.%s: the schema says %v, Default fills in %v", l.kind, l.path, l.node.Default, got)
			}
		case filled && !given && !isObject && l.node.DefaultText == "" && l.node.Default == nil:
			t.Errorf("%s.%s: Default fills in %v, the schema says nothing", l.kind, l.path, got)
		}
	}
	if checked < 20 {
		t.Errorf("checked %d defaults", checked)
	}
}

func TestJSONSchemaRequiresWhatValidateMisses(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"EventTopic.spec.brokerRef.name": "spec.brokerRef.name", "EventRoute.spec.parentRefs": "spec.parentRefs",
		"EventRoute.spec.rules": "spec.rules", "EventSubscription.spec.topicRef.name": "spec.topicRef.name",
		"EventSubscription.spec.selector": "spec.selector", "EventBroker.spec.nodes[0].address": "spec.nodes[0].address",
		"EventRoute.spec.rules[0].backendRefs[0].name": "spec.rules[0].backendRefs[0].name",
		"EventBroker.spec.credentials.name":            "spec.credentials.name",
	} {
		kind, rest, _ := strings.Cut(path, ".")
		i := slices.IndexFunc(specs(t), func(l leaf) bool { return l.kind == kind && l.path == rest })
		if i < 0 || !specs(t)[i].required {
			t.Errorf("%s is not required", path)
			continue
		}
		doc := document(t, valid(kind))
		if err := schematest.Compile(t, kind).Validate(without(put(doc, split(rest+".x"), 1), split(rest))); err == nil {
			t.Errorf("the schema accepts an object without %s", want)
		}
	}
}

// split splits a path such as "spec.rules[0].name" into steps; a number is an index.
func split(path string) []string {
	return strings.FieldsFunc(strings.ReplaceAll(path, "[", ".#"), func(r rune) bool { return r == '.' || r == ']' })
}

// put sets the value at the steps and creates what is missing on the way.
func put(m map[string]any, steps []string, value any) map[string]any {
	if m == nil {
		m = map[string]any{}
	}
	switch {
	case len(steps) == 1:
		m[steps[0]] = value
	case steps[1][0] == '#': // only first elements are used
		list, _ := m[steps[0]].([]any)
		if len(list) == 0 {
			list = []any{nil}
		}
		if len(steps) == 2 {
			list[0] = value
		} else {
			first, _ := list[0].(map[string]any)
			list[0] = put(first, steps[2:], value)
		}
		m[steps[0]] = list
	default:
		inner, _ := m[steps[0]].(map[string]any)
		m[steps[0]] = put(inner, steps[1:], value)
	}
	return m
}

func lookup(v any, steps []string) (any, bool) {
	if len(steps) == 0 {
		return v, true
	}
	if steps[0][0] == '#' {
		list, _ := v.([]any)
		if len(list) == 0 {
			return nil, false
		}
		return lookup(list[0], steps[1:])
	}
	m, _ := v.(map[string]any)
	inner, ok := m[steps[0]]
	if !ok {
		return nil, false
	}
	return lookup(inner, steps[1:])
}

// without removes the field at the steps.
func without(m map[string]any, steps []string) map[string]any {
	parent, _ := lookup(m, steps[:len(steps)-1])
	if p, ok := parent.(map[string]any); ok {
		delete(p, steps[len(steps)-1])
	}
	return m
}
