// Command generate writes the JSON Schemas of the declared kinds from their Go types
// and the comments on them.
//
//	go run ./api/schema/internal/generate -types api/v1alpha1 -out api/schema/v1alpha1
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/warrenmesh/warren/api/schema"
)

func main() {
	types := flag.String("types", "api/v1alpha1", "directory of the Go package with the kinds")
	out := flag.String("out", "api/schema/v1alpha1", "directory to write to")
	flag.Parse()
	if err := run(*types, *out); err != nil {
		fmt.Fprintf(os.Stderr, "generate schemas: %v\n", err)
		os.Exit(1)
	}
}

func run(types, out string) error {
	pkg, err := parse(types)
	if err != nil {
		return err
	}
	b := &builder{pkg: pkg}
	all := b.document()
	if err := b.err(); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o750); err != nil {
		return fmt.Errorf("create output directory: %w", err)
	}
	for _, kind := range kinds {
		if err := write(out, kind, b.single(all, kind)); err != nil {
			return err
		}
	}
	return write(out, schema.All, all)
}

func write(dir, name string, n *schema.Node) error {
	n.Schema, n.ID = schema.Draft, baseID+name+".json"
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(n); err != nil {
		return fmt.Errorf("encode schema %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".json"), text.Bytes(), 0o644); err != nil { //nolint:gosec // source files are for everyone to read
		return fmt.Errorf("write schema: %w", err)
	}
	return nil
}
