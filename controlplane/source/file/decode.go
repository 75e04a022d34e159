package file

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
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

// Decode turns files into a set, with declare.Declare. It never panics, whatever the
// bytes are.
func Decode(files ...File) (declare.Set, []declare.Problem) {
	batches := make([]declare.Batch, 0, len(files))
	for _, f := range files {
		batches = append(batches, decode(f))
	}
	return declare.Declare(batches...)
}

// reader reads the declarations of one file.
type reader struct {
	name  string // of the file
	batch declare.Batch
}

// decode returns the declarations of a file. They are not changed afterwards, so sets
// can share them.
func decode(f File) declare.Batch {
	r := &reader{name: f.Name}
	decoder := yaml.NewDecoder(bytes.NewReader(f.Data))
	for {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			if !r.declares() {
				r.empty()
			}
			return r.batch
		}
		if err != nil {
			r.unread(syntaxProblem(f.Name, err))
			return r.batch
		}
		if root := documentRoot(&doc); root != nil {
			r.document(root)
		}
	}
}

// unread notes text in which not even an object's name can be read.
func (r *reader) unread(problems ...declare.Problem) {
	r.batch.Incomplete = true
	r.batch.Problems = append(r.batch.Problems, problems...)
}

// declares reports whether the file has an object, valid or not.
func (r *reader) declares() bool { return len(r.batch.Objects) > 0 || len(r.batch.Problems) > 0 }

// empty refuses a file that declares nothing. Usually an editor is about to write it,
// and its former objects must not disappear meanwhile.
func (r *reader) empty() {
	r.unread(declare.Problem{
		File: r.name, Message: "is empty: it declares nothing, as while it is being written; declare an object in it or delete the file",
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
		Message: fmt.Sprintf("is not YAML: %s: fix the indentation, quotes or brackets here or just above", strings.TrimPrefix(text, place[0])),
	}
}

// document decodes one document into one object.
func (r *reader) document(root *yaml.Node) {
	d := &decoder{file: r.name, lines: map[string]int{}}
	obj := d.header(root)
	if obj == nil {
		r.unread(d.problems...)
		return
	}
	d.object(root, obj)
	o := declare.Object{Value: obj, File: r.name, Line: root.Line, Lines: d.lines}
	r.batch.Objects = append(r.batch.Objects, declare.Check(o, d.problems...))
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
