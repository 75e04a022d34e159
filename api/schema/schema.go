// Package schema holds the JSON Schemas (draft 2020-12) of the declared kinds, for
// editors and for "warren config explain-field".
//
// It owns the generated files below v1alpha1 and the model they are read into. The
// generator in internal/generate makes them from the Go types of api/v1alpha1 and their
// comments ("make generate").
//
// The control plane decides what is valid, because it sees all objects; a schema sees
// one field at a time. Whatever a schema refuses, the control plane refuses too, with
// one exception: files may have a field with nothing after its colon, which a schema
// refuses.
//
// Everything here is read-only once loaded and safe for concurrent use. Callers must
// not change the returned nodes.
//
//	node, ok := schema.Kind("EventTopic")
//	spec, _ := node.Properties.Lookup("spec")
//	fmt.Println(spec.Doc(), schema.TypeName(spec))
package schema

import (
	"embed"
	"encoding/json"
	"fmt"
	"sync"
)

// All is the name of the schema of files with objects of every kind.
const All = "warren"

//go:embed v1alpha1/*.json
var files embed.FS

// JSON returns the file with the schema of a kind, or of all kinds for the name All. It
// returns false when there is no such kind.
func JSON(name string) ([]byte, bool) {
	data, err := files.ReadFile("v1alpha1/" + name + ".json")
	return data, err == nil
}

// Kind returns the schema of a kind. It returns false when there is no such kind.
func Kind(name string) (*Node, bool) {
	node, ok := all().Defs.Lookup(name)
	if !ok || len(node.Properties) == 0 || node.Title != name {
		return nil, false
	}
	return node, true
}

// Resolve follows a node's reference to a type that is used in several places or
// contains itself. A node without a reference is returned as it is.
func Resolve(n *Node) *Node {
	if name, ok := n.refersTo(); ok {
		if def, found := all().Defs.Lookup(name); found {
			return def
		}
	}
	return n
}

var all = sync.OnceValue(func() *Node {
	data, _ := JSON(All)
	var n Node
	if err := json.Unmarshal(data, &n); err != nil {
		// The file is part of the program, and a test reads it.
		panic(fmt.Sprintf("read the embedded schema: %v", err))
	}
	return &n
})
