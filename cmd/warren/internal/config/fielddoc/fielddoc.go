// Package fielddoc finds the fields of the declared kinds by the paths people write:
// "EventTopic.spec.publish.ttl", "topic.spec.publish", or a path copied from an error
// such as "EventRoute.spec.rules[0].retry.on[1]".
//
// It owns paths and suggestions; what the fields are is api/schema's, how they are
// shown the command's. All functions are pure and safe for concurrent use.
//
//	field, err := fielddoc.Find("EventTopic.spec.publish")
//	for _, child := range field.Fields() { ... }
package fielddoc

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/warrenmesh/warren/api/schema"
	"github.com/warrenmesh/warren/api/v1alpha1"
)

// Field is one field of a kind, or a kind.
type Field struct {
	// Path from the kind, without indices.
	Path string
	// Name is the last step of the path.
	Name string
	// Node says what is known about it; it may be a reference.
	Node *schema.Node
	// Required tells whether the object around it must have it.
	Required bool
}

// index is the "[0]" or "[app]" after a list or a map.
var index = regexp.MustCompile(`\[[^\]]*\]`)

// Kinds lists the kinds.
func Kinds() []Field {
	var out []Field
	for _, name := range v1alpha1.Kinds() {
		if node, ok := schema.Kind(name); ok {
			out = append(out, Field{Path: name, Name: name, Node: node})
		}
	}
	return out
}

// Find returns the field at a path. The error says what is wrong with the path and
// what it may have been meant to be.
func Find(path string) (Field, error) {
	steps := strings.Split(index.ReplaceAllString(strings.TrimSuffix(path, "."), ""), ".")
	kind, ok := findKind(steps[0])
	if !ok {
		return Field{}, fmt.Errorf("no kind %q: want one of %s%s",
			steps[0], strings.Join(v1alpha1.Kinds(), ", "), v1alpha1.DidYouMean(steps[0], v1alpha1.Kinds()))
	}
	at := kind
	for _, name := range steps[1:] {
		next, ok := at.child(name)
		if !ok {
			return Field{}, unknown(kind, at, name)
		}
		at = next
	}
	return at, nil
}

// findKind takes "EventTopic", "eventtopic" and "topic".
func findKind(name string) (Field, bool) {
	kinds := Kinds()
	i := slices.IndexFunc(kinds, func(f Field) bool {
		return strings.EqualFold(f.Name, name) || strings.EqualFold(f.Name, "Event"+name)
	})
	if i < 0 {
		return Field{}, false
	}
	return kinds[i], true
}

// Fields lists the fields inside one, those of its elements when it is a list; nil
// when it has none.
func (f Field) Fields() []Field {
	n := schema.Resolve(f.Node)
	if n.Type == "array" {
		n = schema.Resolve(n.Items)
	}
	var out []Field
	for _, p := range n.Properties {
		out = append(out, Field{Path: f.Path + "." + p.Name, Name: p.Name, Node: p.Node, Required: slices.Contains(n.Required, p.Name)})
	}
	return out
}

func (f Field) child(name string) (Field, bool) {
	fields := f.Fields()
	i := slices.IndexFunc(fields, func(c Field) bool { return c.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return fields[i], true
}

// All lists a field and everything below it, parents first. A type inside itself,
// as filters are, is not entered again.
func (f Field) All() []Field {
	out := []Field{f}
	for _, c := range f.Fields() {
		if Recursive(c) {
			out = append(out, c)
		} else {
			out = append(out, c.All()...)
		}
	}
	return out
}

// Recursive tells whether a field holds values of a type that is inside itself.
func Recursive(f Field) bool {
	return f.Node.Ref != "" || f.Node.Items != nil && f.Node.Items.Ref != ""
}

// maxSuggestions bounds how many paths an error offers.
const maxSuggestions = 3

// unknown says that at has no field of that name. The nearest name of a brother is
// offered first, else fields of that name anywhere in the kind.
func unknown(kind, at Field, name string) error {
	brothers := at.Fields()
	if len(brothers) == 0 {
		return fmt.Errorf("%s is of type %s: it has no fields", at.Path, schema.TypeName(at.Node))
	}
	if near := nearest(brothers, name); len(near) > 0 {
		return fmt.Errorf("%s has no field %q: did you mean %s?", at.Path, name, near[0])
	}
	if elsewhere := nearest(kind.All(), name); len(elsewhere) > 0 {
		return fmt.Errorf("%s has no field %q: did you mean %s?", at.Path, name, strings.Join(elsewhere, " or "))
	}
	names := make([]string, len(brothers))
	for i := range brothers {
		names[i] = brothers[i].Name
	}
	return fmt.Errorf("%s has no field %q: want one of %s", at.Path, name, strings.Join(names, ", "))
}

// nearest returns the paths of the fields whose name is name but for case, else of
// those nearest to it.
func nearest(fields []Field, name string) []string {
	same := withName(fields, func(n string) bool { return strings.EqualFold(n, name) })
	if len(same) > 0 {
		return same
	}
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	hint := v1alpha1.DidYouMean(name, names)
	return withName(fields, func(n string) bool { return hint != "" && strings.Contains(hint, `"`+n+`"`) })
}

func withName(fields []Field, is func(name string) bool) []string {
	var paths []string
	for _, f := range fields {
		if is(f.Name) && len(paths) < maxSuggestions {
			paths = append(paths, f.Path)
		}
	}
	return paths
}

// Complete lists what a path that is being typed can become.
func Complete(path string) []string {
	around, _, deep := cutLast(path)
	if !deep {
		var names []string
		for _, k := range Kinds() {
			if len(path) <= len(k.Name) && strings.EqualFold(k.Name[:len(path)], path) {
				names = append(names, k.Name)
			}
		}
		return names
	}
	f, err := Find(around)
	if err != nil {
		return nil
	}
	var paths []string
	for _, c := range f.Fields() {
		// As typed: the shell compares with that.
		if next := around + "." + c.Name; strings.HasPrefix(next, path) {
			paths = append(paths, next)
		}
	}
	return paths
}

func cutLast(path string) (before, after string, found bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return "", path, false
	}
	return path[:i], path[i+1:], true
}
