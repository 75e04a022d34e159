// Package file reads declared objects from a directory of YAML files and watches
// it for changes.
//
// It owns the strict decoding of YAML into the kinds of api/v1alpha1: an unknown
// field, a value of the wrong type, a duplicate key or object is a problem with
// file, line and field, and all problems of a directory are reported at once. It
// does not know what references between objects mean; controlplane/resolve
// does.
//
// Files are *.yaml and *.yml directly in the directory, hidden ones left out, in
// the order of their names; a file may hold many documents. Load reads once;
// Source.Run keeps reading. Decode and Load are pure or read-only and safe for
// concurrent use; one Run is one goroutine, and calls back on it.
//
//	src := file.New(file.Options{Dir: "config", Logger: logger})
//	err := src.Run(ctx, func(set declare.Set, problems []declare.Problem) { ... })
package file
