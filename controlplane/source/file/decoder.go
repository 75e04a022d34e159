package file

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
)

const (
	// maxNodes bounds the nodes of one document after its aliases are expanded.
	maxNodes = 100_000
	// maxDepth bounds how deep values nest.
	maxDepth = 64
	// maxProblems bounds the problems reported of one document: more would hide the
	// cause.
	maxProblems = 100
)

// decoder fills one object from the nodes of one document. It goes on after a
// problem, so that all of them are found.
type decoder struct {
	file     string
	problems []declare.Problem
	lines    map[string]int
	nodes    int  // visited so far, aliases expanded
	full     bool // a bound was reached and reported: read no further
}

func (d *decoder) problem(n *yaml.Node, path v1alpha1.Path, format string, args ...any) {
	if len(d.problems) == maxProblems {
		d.full = true
		return
	}
	d.problems = append(d.problems, declare.Problem{
		File: d.file, Line: n.Line, Field: string(path), Message: fmt.Sprintf(format, args...),
	})
}

// objectFields are the fields of an object that a file may set. Only the control plane
// sets status.
var objectFields = []string{"apiVersion", "kind", "metadata", "spec"}

// metaFields are the fields of metadata that a file may set. Only Kubernetes sets the
// others.
var metaFields = []string{"name", "namespace", "labels", "annotations"}

// object decodes the document's root.
func (d *decoder) object(root *yaml.Node, obj v1alpha1.Object) {
	d.structure(root, reflect.ValueOf(obj).Elem(), "", 0, objectFields)
}

// value decodes n into v, which is settable. Null leaves v as it is.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path v1alpha1.Path, depth int) {
	n, ok := d.enter(n, path, depth)
	if !ok || isNull(n) {
		return
	}
	switch t := v.Type(); {
	case t == reflect.TypeFor[v1alpha1.Duration]():
		d.duration(n, v, path)
	case t == reflect.TypeFor[v1alpha1.ObjectMeta]():
		d.structure(n, v, path, depth, metaFields)
	case t.Kind() == reflect.Pointer:
		p := reflect.New(t.Elem())
		d.value(n, p.Elem(), path, depth)
		v.Set(p)
	case t.Kind() == reflect.Struct:
		d.structure(n, v, path, depth, fieldNames(t))
	case t.Kind() == reflect.Slice:
		d.list(n, v, path, depth)
	case t.Kind() == reflect.Map:
		d.mapping(n, v, path, depth)
	default:
		d.scalar(n, v, path)
	}
}

// enter follows an alias and counts against the bounds; false means that n must not be
// read.
func (d *decoder) enter(n *yaml.Node, path v1alpha1.Path, depth int) (*yaml.Node, bool) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.nodes++
	switch {
	case d.full:
	case d.nodes > maxNodes:
		d.problem(n, path, "makes the document hold more than %d values: use fewer aliases or split the file", maxNodes)
		d.full = true
	case depth > maxDepth:
		d.problem(n, path, "is nested deeper than %d levels: flatten it", maxDepth)
		d.full = true
	}
	return n, !d.full
}

// structure decodes a mapping into a struct. Only the allowed fields may be set.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, path v1alpha1.Path, depth int, allowed []string) {
	d.entries(n, path, func(key, value *yaml.Node) {
		child := path.Child(key.Value)
		fieldValue, known := structField(v, key.Value)
		switch {
		case known && slices.Contains(allowed, key.Value):
			d.lines[string(child)] = key.Line
			d.value(value, fieldValue, child, depth+1)
		case known:
			d.problem(key, child, "is set by the system: remove it; want only %s", strings.Join(allowed, ", "))
		default:
			d.problem(key, child, "unknown field %q%s: want one of %s", key.Value, v1alpha1.DidYouMean(key.Value, allowed), strings.Join(allowed, ", "))
		}
	})
}

// entries calls visit for each entry of a mapping with keys of plain text, each
// once.
func (d *decoder) entries(n *yaml.Node, path v1alpha1.Path, visit func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, path, "is %s: want a mapping of fields to values", describe(n))
		return
	}
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		line, dup := first[key.Value]
		switch {
		case key.ShortTag() == "!!merge":
			d.problem(key, path, "has a merge key \"<<\", which is not supported: write the fields out")
		case key.Kind != yaml.ScalarNode:
			d.problem(key, path, "has a key that is %s: want text", describe(key))
		case dup:
			d.problem(key, path.Child(key.Value), "is set twice, first on line %d: remove one of the two", line)
		default:
			first[key.Value] = key.Line
			visit(key, value)
		}
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path v1alpha1.Path, depth int) {
	if n.Kind != yaml.SequenceNode {
		d.problem(n, path, "is %s: want a list", describe(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, 0)
	for i, item := range n.Content {
		if d.full {
			break
		}
		element := reflect.New(v.Type().Elem()).Elem()
		d.lines[string(path.Index(i))] = item.Line
		if isNull(item) {
			d.problem(item, path.Index(i), "is empty: give it a value or remove it")
		}
		d.value(item, element, path.Index(i), depth+1)
		out = reflect.Append(out, element)
	}
	v.Set(out)
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path v1alpha1.Path, depth int) {
	out := reflect.MakeMap(v.Type())
	d.entries(n, path, func(key, value *yaml.Node) {
		child := path.Key(key.Value)
		d.lines[string(child)] = key.Line
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(value, element, child, depth+1)
		out.SetMapIndex(reflect.ValueOf(key.Value), element)
	})
	v.Set(out)
}

// structField finds the field of a struct by its JSON name, inlined structs
// included.
func structField(v reflect.Value, name string) (reflect.Value, bool) {
	index, ok := jsonFields(v.Type())[name]
	if !ok {
		return reflect.Value{}, false
	}
	return v.FieldByIndex(index), true
}

func fieldNames(t reflect.Type) []string { return slices.Sorted(maps.Keys(jsonFields(t))) }

// jsonFields maps the JSON names of a struct's fields to their index. There is no
// cache: the kinds are small and files change rarely.
func jsonFields(t reflect.Type) map[string][]int {
	fields := map[string][]int{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if options == "inline" {
			for inner, index := range jsonFields(f.Type) {
				fields[inner] = append([]int{i}, index...)
			}
		} else if name != "" && name != "-" {
			fields[name] = []int{i}
		}
	}
	return fields
}
