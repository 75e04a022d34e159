package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
)

// File is one YAML file.
type File struct {
	Name string // relative to the directory
	Data []byte
}

// Decode turns files into a set. It never panics, whatever the bytes are. The
// objects have been through v1alpha1.Default and Validate; the problems are
// sorted by place and include those.
func Decode(files ...File) (declare.Set, []declare.Problem) {
	parts := make([]*part, 0, len(files))
	for _, f := range files {
		parts = append(parts, decode(f))
	}
	return join(parts)
}

// part is what one file declares. It is not changed once it is there, so that sets
// can share it.
type part struct {
	objects    []declare.Object
	problems   []declare.Problem
	incomplete bool
}

func decode(f File) *part {
	p := &part{}
	decoder := yaml.NewDecoder(bytes.NewReader(f.Data))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			if !p.declares() {
				p.empty(f.Name)
			}
			return p
		}
		if err != nil {
			p.incomplete = true
			p.problems = append(p.problems, syntaxProblem(f.Name, err))
			return p
		}
		if root := documentRoot(&doc); root != nil {
			p.document(f.Name, root)
		}
	}
}

// declares tells whether there was an object in the file, good or bad.
func (p *part) declares() bool { return len(p.objects) > 0 || len(p.problems) > 0 }

// empty refuses a file that declares nothing. As a rule somebody is about to write
// it, and what it declared before must not go meanwhile.
func (p *part) empty(name string) {
	p.incomplete = true
	p.problems = append(p.problems, declare.Problem{
		File: name, Message: "is empty: it declares nothing, as while it is being written; declare an object in it or delete the file",
	})
}

// join makes a set of what several files declare. It keeps the first of several
// objects of one name.
func join(parts []*part) (declare.Set, []declare.Problem) {
	var set declare.Set
	var problems []declare.Problem
	seen := map[v1alpha1.ObjectName]*declare.Object{}
	for _, p := range parts {
		set.Incomplete = set.Incomplete || p.incomplete
		problems = append(problems, p.problems...)
		for i := range p.objects {
			o := &p.objects[i]
			if first, dup := seen[o.Name()]; dup {
				problems = append(problems, declaredTwice(o, first))
				continue
			}
			seen[o.Name()] = o
			set.Objects = append(set.Objects, *o)
		}
	}
	declare.Sort(problems)
	return set, problems
}

func declaredTwice(o, first *declare.Object) declare.Problem {
	return o.Problem(v1alpha1.FieldError{
		Path:    "metadata.name",
		Message: fmt.Sprintf("%s is already declared at %s:%d: remove or rename one of the two", o.Name(), first.File, first.Line),
		Kind:    v1alpha1.Conflict,
	})
}

// documentRoot returns nil for a document that holds nothing but comments.
func documentRoot(doc *yaml.Node) *yaml.Node {
	if doc.Kind == yaml.DocumentNode {
		if len(doc.Content) == 0 {
			return nil
		}
		doc = doc.Content[0]
	}
	if doc.Kind == 0 || isNull(doc) {
		return nil
	}
	return doc
}

// yamlLine finds the place in the messages of the YAML library, which has no
// typed error for it.
var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

func syntaxProblem(name string, err error) declare.Problem {
	text := err.Error()
	place := yamlLine.FindStringSubmatch(text)
	line, _ := strconv.Atoi(place[1]) // "" when the library names no line: 0
	return declare.Problem{
		File: name, Line: line,
		Message: fmt.Sprintf("is not YAML: %s: mend the indentation, quotes or brackets here or just above", strings.TrimPrefix(text, place[0])),
	}
}

// document decodes one document into one object.
func (p *part) document(name string, root *yaml.Node) {
	d := &decoder{file: name, lines: map[string]int{}}
	obj := d.header(root)
	if obj == nil {
		p.incomplete = true
		p.problems = append(p.problems, d.problems...)
		return
	}
	d.object(root, obj)
	v1alpha1.Default(obj)
	o := declare.Object{Value: obj, File: name, Line: root.Line, Lines: d.lines}
	for _, err := range v1alpha1.Validate(obj) {
		if !d.explains(err.Path) {
			d.problems = append(d.problems, o.Problem(err))
		}
	}
	for _, problem := range d.problems {
		problem.Object = o.Name()
		p.problems = append(p.problems, problem)
	}
	if obj.GetName() == "" {
		p.incomplete = true
		return
	}
	p.objects = append(p.objects, o)
}

// header reads apiVersion and kind and returns an empty object of that kind, nil
// when there is no such kind.
func (d *decoder) header(root *yaml.Node) v1alpha1.Object {
	if root.Kind != yaml.MappingNode {
		d.problem(root, "", "is %s: want an object with apiVersion, kind, metadata and spec", describe(root))
		return nil
	}
	version, kind := field(root, "apiVersion"), field(root, "kind")
	switch {
	case version == nil:
		d.problem(root, "apiVersion", "is missing: want %s", v1alpha1.APIVersion)
	case version.Value != v1alpha1.APIVersion:
		d.problem(version, "apiVersion", "is %q: want %s", version.Value, v1alpha1.APIVersion)
	}
	if kind == nil {
		d.problem(root, "kind", "is missing: want one of %s", strings.Join(v1alpha1.Kinds(), ", "))
		return nil
	}
	obj, known := v1alpha1.New(kind.Value)
	if !known {
		d.problem(kind, "kind", "is %q: want one of %s%s", kind.Value, strings.Join(v1alpha1.Kinds(), ", "), v1alpha1.DidYouMean(kind.Value, v1alpha1.Kinds()))
		return nil
	}
	return obj
}

// field returns the value of a mapping's key, nil when it has none.
func field(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			value := mapping.Content[i+1]
			for value.Kind == yaml.AliasNode {
				value = value.Alias
			}
			return value
		}
	}
	return nil
}

// explains tells whether a problem found while decoding is the cause of what
// Validate says about path: it is about the same field, one inside or one around.
func (d *decoder) explains(path string) bool {
	return slices.ContainsFunc(d.problems, func(p declare.Problem) bool {
		return within(p.Field, path) || within(path, p.Field)
	})
}

func within(path, around string) bool {
	rest, ok := strings.CutPrefix(path, around)
	return ok && around != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
