// Package schema holds the JSON Schemas (draft 2020-12) of the declared kinds, for
// editors and for "warren config explain-field".
//
// It owns the generated files below v1alpha1 and the model they are read into; the
// generator in internal/generate makes them from the Go types of api/v1alpha1 and
// their comments ("make generate"). It does not decide what is valid: a schema sees
// one field at a time, the control plane sees the whole set and has the last word.
// What a schema refuses the control plane refuses too, but for one thing: a field
// with nothing after its colon, which files may have, is a mistake to a schema.
//
// Everything here is read-only once loaded and safe for concurrent use; callers must
// not change the nodes they get.
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

// All names the schema of files that hold objects of every kind.
const All = "warren"

//go:embed v1alpha1/*.json
var files embed.FS

// JSON returns the schema of one kind, or of all with the name All, as the file has
// it; false means that there is no such kind.
func JSON(name string) ([]byte, bool) {
	data, err := files.ReadFile("v1alpha1/" + name + ".json")
	return data, err == nil
}

// Kind returns the schema of a kind; false means that there is no such kind.
func Kind(name string) (*Node, bool) {
	node, ok := all().Defs.Lookup(name)
	if !ok || len(node.Properties) == 0 || node.Title != name {
		return nil, false
	}
	return node, true
}

// Resolve follows the reference of a node to a type that is used in several places
// or inside itself. A node without one is returned as it is.
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
