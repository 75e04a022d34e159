package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Draft is the JSON Schema dialect of the schemas.
const Draft = "https://json-schema.org/draft/2020-12/schema"

// defs is the prefix of references to definitions.
const defs = "#/$defs/"

// Node is one schema, with the keywords that our schemas use. A nil pointer or an empty
// value means that the keyword is absent.
type Node struct {
	Schema      string `json:"$schema,omitempty"`
	ID          string `json:"$id,omitempty"`
	Ref         string `json:"$ref,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Type        string `json:"type,omitempty"`

	Const   string   `json:"const,omitempty"`
	Enum    []string `json:"enum,omitempty"`
	Default any      `json:"default,omitempty"`

	Pattern   string `json:"pattern,omitempty"`
	MinLength *int64 `json:"minLength,omitempty"`
	MaxLength *int64 `json:"maxLength,omitempty"`
	Minimum   *int64 `json:"minimum,omitempty"`
	Maximum   *int64 `json:"maximum,omitempty"`

	Items       *Node  `json:"items,omitempty"`
	MinItems    *int64 `json:"minItems,omitempty"`
	MaxItems    *int64 `json:"maxItems,omitempty"`
	UniqueItems bool   `json:"uniqueItems,omitempty"`

	Properties    Properties  `json:"properties,omitempty"`
	Required      []string    `json:"required,omitempty"`
	PropertyNames *Node       `json:"propertyNames,omitempty"`
	Additional    *Additional `json:"additionalProperties,omitempty"`
	MinProperties *int64      `json:"minProperties,omitempty"`
	MaxProperties *int64      `json:"maxProperties,omitempty"`

	Not   *Node   `json:"not,omitempty"`
	AnyOf []*Node `json:"anyOf,omitempty"`
	AllOf []*Node `json:"allOf,omitempty"`
	If    *Node   `json:"if,omitempty"`
	Then  *Node   `json:"then,omitempty"`
	Else  *Node   `json:"else,omitempty"`

	// Visual Studio Code and the YAML language server read ErrorMessage and
	// DoNotSuggest.
	ErrorMessage string `json:"errorMessage,omitempty"`
	DoNotSuggest bool   `json:"doNotSuggest,omitempty"`

	// What JSON Schema cannot express. Validators ignore these keywords; a duration is
	// a string to them.
	Duration          bool     `json:"x-warren-duration,omitempty"`
	Low               string   `json:"x-warren-minimum,omitempty"`
	High              string   `json:"x-warren-maximum,omitempty"`
	DefaultText       string   `json:"x-warren-default,omitempty"`
	Unsupported       bool     `json:"x-warren-unsupported,omitempty"`
	UnsupportedValues []string `json:"x-warren-unsupported-values,omitempty"`

	Defs Properties `json:"$defs,omitempty"`
}

// RefTo returns a reference to a definition.
func RefTo(name string) *Node { return &Node{Ref: defs + name} }

func (n *Node) refersTo() (string, bool) { return strings.CutPrefix(n.Ref, defs) }

// Additional is the value of additionalProperties. Without a Node it is false.
type Additional struct{ Node *Node }

// MarshalJSON implements json.Marshaler.
func (a Additional) MarshalJSON() ([]byte, error) {
	if a.Node == nil {
		return []byte("false"), nil
	}
	return encode(a.Node)
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *Additional) UnmarshalJSON(data []byte) error {
	if string(data) == "false" {
		a.Node = nil
		return nil
	}
	a.Node = new(Node)
	return json.Unmarshal(data, a.Node)
}

// Property is a named schema.
type Property struct {
	Name string
	Node *Node
}

// Properties keep the order of their declaration.
type Properties []Property

// Lookup returns the schema of a property.
func (p Properties) Lookup(name string) (*Node, bool) {
	for i := range p {
		if p[i].Name == name {
			return p[i].Node, true
		}
	}
	return nil, false
}

// Names lists the names of the properties in order. The caller owns the slice.
func (p Properties) Names() []string {
	names := make([]string, len(p))
	for i := range p {
		names[i] = p[i].Name
	}
	return names
}

// MarshalJSON implements json.Marshaler.
func (p Properties) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range p {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := encode(p[i].Name)
		if err != nil {
			return nil, fmt.Errorf("encode name %q: %w", p[i].Name, err)
		}
		node, err := encode(p[i].Node)
		if err != nil {
			return nil, fmt.Errorf("encode property %q: %w", p[i].Name, err)
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(node)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode is json.Marshal without HTML escapes, because people read the files.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Properties) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("decode properties: %w", err)
	}
	*p = nil
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return fmt.Errorf("decode the name of a property: %w", err)
		}
		node := new(Node)
		if err := d.Decode(node); err != nil {
			return fmt.Errorf("decode property %v: %w", name, err)
		}
		*p = append(*p, Property{Name: fmt.Sprint(name), Node: node})
	}
	return nil
}
