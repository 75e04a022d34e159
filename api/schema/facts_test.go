package schema_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/api/schema"
)

func TestFactsAreWhatPeopleAsk(t *testing.T) {
	t.Parallel()
	number := func(low, high *int64) *schema.Node { return &schema.Node{Type: "integer", Minimum: low, Maximum: high} }
	for name, test := range map[string]struct {
		node *schema.Node
		want string
	}{
		"nothing is known":                  {&schema.Node{Type: "string"}, ""},
		"a bound on both sides":             {number(new(int64(0)), new(int64(9))), "Range 0 to 9"},
		"a bound below":                     {number(new(int64(1)), nil), "Range at least 1"},
		"a bound above alone is none":       {number(nil, new(int64(9))), ""},
		"a duration within":                 {&schema.Node{Type: "string", Duration: true, Low: "1s", High: "15m"}, "Range 1s to 15m"},
		"a duration that is not 0":          {&schema.Node{Type: "string", Duration: true, Low: "1ns"}, "Range longer than 0"},
		"a duration of at least":            {&schema.Node{Type: "string", Duration: true, Low: "1ms"}, "Range at least 1ms"},
		"a choice with a default":           {&schema.Node{Type: "string", Enum: []string{"a", "b"}, Default: "b"}, "Values a, b; Default b"},
		"a single value is no choice":       {&schema.Node{Type: "string", Enum: []string{"a"}, Default: "a"}, "Default a"},
		"a list of choices":                 {&schema.Node{Type: "array", Items: &schema.Node{Enum: []string{"a", "b"}}, Default: []string{"a", "b"}}, "Values a, b; Default a, b"},
		"a list as JSON has it":             {&schema.Node{Type: "array", Items: &schema.Node{}, Default: []any{"a", 1.5}}, "Default a, 1.5"},
		"a number by default":               {&schema.Node{Type: "integer", Default: int64(64)}, "Default 64"},
		"a truth value by default":          {&schema.Node{Type: "boolean", Default: false}, "Default false"},
		"a default in words":                {&schema.Node{Type: "string", DefaultText: "the topic's name"}, "Default the topic's name"},
		"a default goes before its words":   {&schema.Node{Type: "string", Default: "x", DefaultText: "y"}, "Default x"},
		"a field of a later version":        {&schema.Node{Type: "string", Unsupported: true}, "Later not supported yet, setting it is refused"},
		"values of a later version":         {&schema.Node{Type: "string", Enum: []string{"a", "b"}, UnsupportedValues: []string{"c", "d"}}, "Values a, b; Later c and d, not supported yet and refused"},
		"a field of a later version, whole": {&schema.Node{Type: "string", Unsupported: true, UnsupportedValues: []string{"c"}}, "Later not supported yet, setting it is refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var facts []string
			for _, f := range schema.Facts(test.node) {
				facts = append(facts, f.Name+" "+f.Text)
			}
			if got := strings.Join(facts, "; "); got != test.want {
				t.Errorf("facts %q, want %q", got, test.want)
			}
		})
	}
}

// Describe adds the facts for editors, and Doc takes them away for those who show them
// by themselves: neither loses a word, however often.
func TestTheFactsOfADescriptionCanBeTakenAway(t *testing.T) {
	t.Parallel()
	n := &schema.Node{Type: "integer", Minimum: new(int64(1)), Maximum: new(int64(9)), Default: int64(3)}
	for _, doc := range []string{"Attempts in all.", "", "Ends with Default: 3. Range: 1 to 9."} {
		n.Describe(doc)
		if want := doc + "\n\nDefault: 3. Range: 1 to 9."; n.Description != want || n.Doc() != doc {
			t.Errorf("%q is described as %q, and is %q without its facts", doc, n.Description, n.Doc())
		}
	}
	plain := &schema.Node{Type: "string"}
	if plain.Describe("A name."); plain.Description != "A name." || plain.Doc() != "A name." {
		t.Errorf("without facts it is %q", plain.Description)
	}
}

func TestTypesHaveNamesForPeople(t *testing.T) {
	t.Parallel()
	text := &schema.Node{Type: "string"}
	for want, n := range map[string]*schema.Node{
		"string": text, "duration": {Type: "string", Duration: true}, "list of string": {Type: "array", Items: text},
		"list of list of duration": {Type: "array", Items: &schema.Node{Type: "array", Items: &schema.Node{Type: "string", Duration: true}}},
		"map of string":            {Type: "object", Additional: &schema.Additional{Node: text}},
		"object":                   {Type: "object", Additional: &schema.Additional{}}, "any": {}, "integer": {Type: "integer"},
	} {
		if got := schema.TypeName(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAReferenceIsFollowedAndAnUnknownOneIsNot(t *testing.T) {
	t.Parallel()
	filter := schema.Resolve(schema.RefTo("Filter"))
	if filter.Type != "object" || !slices.Contains(filter.Properties.Names(), "exact") {
		t.Errorf("the filter is %+v", filter)
	}
	if schema.TypeName(schema.RefTo("Filter")) != "object" {
		t.Error("a reference has no type")
	}
	for _, n := range []*schema.Node{schema.RefTo("Nothing"), {Type: "string"}, {Ref: "https://example.com/schema"}} {
		if got := schema.Resolve(n); got != n {
			t.Errorf("%+v leads to %+v", n, got)
		}
	}
}

func TestFieldsKeepTheirOrderInJSON(t *testing.T) {
	t.Parallel()
	const text = `{"z":{"type":"string"},"a":{"type":"object","additionalProperties":false},"größe <b>":{"additionalProperties":{"type":"string"}}}`
	var p schema.Properties
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	if got := p.Names(); !slices.Equal(got, []string{"z", "a", "größe <b>"}) {
		t.Errorf("names %q", got)
	}
	if n, ok := p.Lookup("a"); !ok || n.Additional == nil || n.Additional.Node != nil {
		t.Errorf("a is %+v", n)
	}
	if n, ok := p.Lookup("größe <b>"); !ok || n.Additional.Node.Type != "string" {
		t.Errorf("größe is %+v", n)
	}
	if _, ok := p.Lookup("A"); ok {
		t.Error("a name is found in other letters")
	}
	again, err := p.MarshalJSON()
	if err != nil || strings.ReplaceAll(string(again), "\n", "") != text {
		t.Errorf("it became %s, %v", again, err)
	}
	p.Names()[0] = "changed"
	if p[0].Name != "z" {
		t.Error("the list of names is not the caller's own")
	}
	for _, wrong := range []string{`{"a":1}`, `{"a":{"type":5}}`, `{"a":{"properties":{"b":[]}}}`} {
		if err := json.Unmarshal([]byte(wrong), new(schema.Properties)); err == nil {
			t.Errorf("%s was taken", wrong)
		}
	}
}
