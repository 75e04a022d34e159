// Package schematest validates documents against the schemas in tests, with an ordinary
// JSON Schema validator.
//
//	s := schematest.Compile(t, "EventTopic")
//	if err := s.Validate(document); err != nil { ... }
package schematest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/warrenmesh/warren/api/schema"
)

// Schema is a compiled schema, safe for concurrent use.
type Schema struct{ compiled *jsonschema.Schema }

// Compile compiles the schema of a kind, or of all kinds with schema.All. It checks the
// schema itself against the draft that it names.
func Compile(t testing.TB, name string) *Schema {
	t.Helper()
	text, ok := schema.JSON(name)
	if !ok {
		t.Fatalf("there is no schema of %s", name)
	}
	return CompileText(t, text)
}

// CompileText is Compile for the text of a schema.
func CompileText(t testing.TB, text []byte) *Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("the schema is not JSON: %v", err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatalf("add schema: %v", err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatalf("compile schema: %v", err)
	}
	return &Schema{compiled}
}

// Validate checks a document that was decoded from JSON or YAML. The error names the
// fields.
func (s *Schema) Validate(document any) error { return s.compiled.Validate(document) }

// ValidateYAML checks every document of a YAML file.
func (s *Schema) ValidateYAML(text []byte) error {
	var errs []error
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for i := 1; ; i++ {
		var document any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return errors.Join(errs...)
		}
		if err != nil {
			return fmt.Errorf("document %d is not YAML: %w", i, err)
		}
		if document == nil {
			continue // comments only
		}
		if err := s.Validate(document); err != nil {
			errs = append(errs, fmt.Errorf("document %d: %w", i, err))
		}
	}
}
