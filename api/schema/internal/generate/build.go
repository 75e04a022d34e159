package main

import (
	"errors"
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"

	"github.com/warrenmesh/warren/api/schema"
)

const (
	apiVersion = "warrenmesh.io/v1alpha1"
	baseID     = "https://warrenmesh.io/schema/v1alpha1/"
)

// kinds lists the kinds in the order in which the pages explain them.
var kinds = []string{"EventBroker", "EventTopic", "EventRoute", "EventSubscription", "EventPolicy"}

// builder turns structs into schemas. It continues after a problem, so that one run
// reports them all.
type builder struct {
	pkg      map[string]*structType
	problems []error
}

func (b *builder) problem(format string, args ...any) {
	b.problems = append(b.problems, fmt.Errorf(format, args...))
}

func (b *builder) err() error { return errors.Join(b.problems...) }

// document is the schema of a file with objects of all kinds. Editors apply it to each
// document of the file.
func (b *builder) document() *schema.Node {
	all := &schema.Node{
		Title:       "Warren",
		Description: "One object of " + apiVersion + "; a file may hold several, separated by a line \"---\".",
		Type:        "object",
		Required:    []string{"apiVersion", "kind"},
		Properties: schema.Properties{
			{Name: "apiVersion", Node: apiVersionNode()},
			{Name: "kind", Node: &schema.Node{Type: "string", Enum: kinds, Description: "What is declared."}},
		},
	}
	for _, kind := range kinds {
		all.AllOf = append(all.AllOf, &schema.Node{
			If: &schema.Node{
				Properties: schema.Properties{{Name: "kind", Node: &schema.Node{Const: kind}}},
				Required:   []string{"kind"},
			},
			Then: schema.RefTo(kind),
		})
		all.Defs = append(all.Defs, schema.Property{Name: kind, Node: b.kind(kind)})
	}
	for _, name := range slices.Sorted(maps.Keys(b.pkg)) {
		if b.recursive(name) {
			all.Defs = append(all.Defs, schema.Property{Name: name, Node: b.structure(b.pkg[name])})
		}
	}
	return all
}

// single is the schema of one kind, with the definitions it needs out of all.
func (b *builder) single(all *schema.Node, kind string) *schema.Node {
	def, _ := all.Defs.Lookup(kind)
	n := *def
	for _, d := range all.Defs {
		if !slices.Contains(kinds, d.Name) && b.reaches(kind, d.Name, map[string]bool{}) {
			n.Defs = append(n.Defs, d)
		}
	}
	return &n
}

func (b *builder) kind(name string) *schema.Node {
	s, ok := b.pkg[name]
	if !ok {
		b.problem("kind %s has no type", name)
		return &schema.Node{}
	}
	n := b.structure(s)
	n.Title = name
	spec, ok := n.Properties.Lookup("spec")
	if !ok {
		b.problem("kind %s has no spec", name)
		return n
	}
	n.Required = []string{"apiVersion", "kind", "metadata", "spec"}
	n.Properties = schema.Properties{
		{Name: "apiVersion", Node: apiVersionNode()},
		{Name: "kind", Node: &schema.Node{Type: "string", Const: name, Description: "What is declared."}},
		{Name: "metadata", Node: metadata()},
		{Name: "spec", Node: spec},
	}
	if add, ok := conditions[name]; ok {
		add(spec)
	}
	return n
}

func (b *builder) structure(s *structType) *schema.Node {
	n := &schema.Node{Type: "object", Additional: &schema.Additional{}}
	for _, f := range s.fields {
		if f.name == "metadata" || f.name == "status" {
			continue // kind adds metadata by hand, and files have no status
		}
		n.Properties = append(n.Properties, schema.Property{Name: f.name, Node: b.field(s, f)})
		if f.required {
			n.Required = append(n.Required, f.name)
		}
	}
	b.apply(n, s.name, s.doc.markers)
	n.Describe(s.doc.text)
	return n
}

func (b *builder) field(s *structType, f field) *schema.Node {
	where := s.name + "." + f.goName
	n := b.node(where, f.typ)
	doc := f.doc.sentence(f.goName, f.name)
	if t, ok := b.pkg[typeName(f.typ)]; ok && doc == "" {
		doc = t.doc.sentence(t.name, f.name)
	}
	if doc == "" {
		b.problem("%s has no comment", where)
	}
	b.apply(n, where, f.doc.markers)
	n.Describe(doc)
	return n
}

// node is the schema of a Go type, before its markers are applied.
func (b *builder) node(where string, t ast.Expr) *schema.Node {
	switch t := t.(type) {
	case *ast.StarExpr:
		return b.node(where, t.X)
	case *ast.ArrayType:
		return &schema.Node{Type: "array", Items: b.node(where, t.Elt)}
	case *ast.MapType:
		return &schema.Node{Type: "object", Additional: &schema.Additional{Node: b.node(where, t.Value)}}
	case *ast.SelectorExpr:
		if known, ok := foreign[t.Sel.Name]; ok {
			return known()
		}
	case *ast.Ident:
		return b.named(where, t.Name)
	}
	b.problem("%s has a type the generator does not know", where)
	return &schema.Node{}
}

func (b *builder) named(where, name string) *schema.Node {
	switch name {
	case "string":
		return &schema.Node{Type: "string", MinLength: new(int64(1))}
	case "bool":
		return &schema.Node{Type: "boolean"}
	case "int32", "int64":
		return &schema.Node{Type: "integer"}
	case "any":
		return &schema.Node{}
	}
	s, ok := b.pkg[name]
	switch {
	case !ok:
		b.problem("%s is of type %s, which is not declared", where, name)
		return &schema.Node{}
	case b.recursive(name):
		return schema.RefTo(name)
	default:
		return b.structure(s)
	}
}

// recursive reports whether values of a type can contain values of the same type.
func (b *builder) recursive(name string) bool { return b.reaches(name, name, map[string]bool{}) }

func (b *builder) reaches(from, to string, seen map[string]bool) bool {
	s, ok := b.pkg[from]
	if !ok || seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(s.fields, func(f field) bool {
		next := typeName(f.typ)
		return next == to || b.reaches(next, to, seen)
	})
}

// typeName is the name of the type inside pointers, lists and maps.
func typeName(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return typeName(t.X)
	case *ast.ArrayType:
		return typeName(t.Elt)
	case *ast.MapType:
		return typeName(t.Value)
	case *ast.Ident:
		return t.Name
	default:
		return ""
	}
}

// list splits the value of a marker such as "a;b".
func list(value string) []string { return strings.Split(value, ";") }
