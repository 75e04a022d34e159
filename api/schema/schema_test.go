package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/warrenmesh/warren/api/schema"
	"github.com/warrenmesh/warren/api/schema/schematest"
)

var names = []string{"EventBroker", "EventTopic", "EventRoute", "EventSubscription", "EventPolicy", schema.All}

func TestEverySchemaIsASchemaOfItsDraft(t *testing.T) {
	t.Parallel()
	for _, name := range names {
		schematest.Compile(t, name)
		text, _ := schema.JSON(name)
		if !bytes.Contains(text, []byte(`"$schema": "`+schema.Draft+`"`)) {
			t.Errorf("schema %s does not name draft 2020-12", name)
		}
	}
	for _, name := range []string{"Filter", "eventtopic", "../schema", ""} {
		if _, ok := schema.Kind(name); ok {
			t.Errorf("Kind(%q) found a kind", name)
		}
	}
	if _, ok := schema.JSON("EventTopik"); ok {
		t.Error("JSON found a schema of EventTopik")
	}
}

// walk visits every field below n.
func walk(path string, n *schema.Node, visit func(path string, n *schema.Node)) {
	for _, p := range n.Properties {
		visit(path+"."+p.Name, p.Node)
		walk(path+"."+p.Name, p.Node, visit)
	}
	if n.Items != nil {
		walk(path+"[]", n.Items, visit)
	}
}

func TestEveryFieldHasWordsAndAType(t *testing.T) {
	t.Parallel()
	for _, name := range names {
		kind, ok := schema.Kind(name)
		if !ok {
			if name != schema.All {
				t.Errorf("there is no kind %s", name)
			}
			continue
		}
		fields := 0
		walk(name, kind, func(path string, n *schema.Node) {
			fields++
			if n.Doc() == "" || (schema.TypeName(n) == "any" && name != "EventPolicy") {
				t.Errorf("%s: type %s, description %q; want both", path, schema.TypeName(n), n.Doc())
			}
			if n.Type == "object" && n.Additional == nil {
				t.Errorf("%s: accepts fields that are not declared", path)
			}
		})
		if fields < 12 {
			t.Errorf("%s has %d fields", name, fields)
		}
	}
}

func TestASchemaSurvivesBeingReadAndWritten(t *testing.T) {
	t.Parallel()
	for _, name := range names {
		text, _ := schema.JSON(name)
		var n schema.Node
		if err := json.Unmarshal(text, &n); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(&n); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), text) {
			t.Errorf("%s changed: the model lacks some of its keywords", name)
		}
	}
}

func TestASchemaSaysTheSameAlone(t *testing.T) {
	t.Parallel()
	topic := func(change string) []byte {
		return fmt.Appendf(nil, "apiVersion: warrenmesh.io/v1alpha1\nkind: EventTopic\nmetadata: {name: a}\nspec: {brokerRef: {name: b}%s}\n", change)
	}
	alone, all := schematest.Compile(t, "EventTopic"), schematest.Compile(t, schema.All)
	for _, s := range []*schematest.Schema{alone, all} {
		if err := s.ValidateYAML(topic("")); err != nil {
			t.Error(err)
		}
		if err := s.ValidateYAML(topic(", routingkey: x")); err == nil {
			t.Error("an unknown field was accepted")
		}
	}
}

func TestTheExamplesAreValid(t *testing.T) {
	t.Parallel()
	examples, err := filepath.Glob("../../examples/*/config/*.yaml")
	if err != nil || len(examples) < 4 {
		t.Fatalf("found %d examples: %v", len(examples), err)
	}
	more, err := filepath.Glob("../../cmd/warren/internal/dev/example/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := schematest.Compile(t, schema.All)
	for _, name := range append(examples, more...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ValidateYAML(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func ExampleFacts() {
	kind, _ := schema.Kind("EventSubscription")
	spec, _ := kind.Properties.Lookup("spec")
	deadline, _ := spec.Properties.Lookup("ackDeadline")
	fmt.Println(schema.TypeName(deadline))
	for _, fact := range schema.Facts(deadline) {
		fmt.Println(fact.Name, fact.Text)
	}
	// Output:
	// duration
	// Default 30s
	// Range 1s to 15m
}
