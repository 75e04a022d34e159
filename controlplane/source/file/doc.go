// Package file reads declared objects from a directory of YAML files and watches
// it for changes.
//
// It owns the strict decoding of YAML into the kinds of api/v1alpha1: an unknown
// field, a value of the wrong type or a duplicate key is a problem with file, line
// and field, and each object carries the lines of its fields, so that later problems
// name them too. Defaults, validation and duplicate objects are controlplane/declare's
// business, and what references between objects mean is controlplane/resolve's.
//
//	directory -> read -> File -> decode -> declare.Batch -> declare.Declare -> Set
//	                      |        |
//	                      |        +- kept while the file's bytes stay the same
//	                      +- forms: what the set in force looked like (losses)
//
// Files are *.yaml and *.yml directly in the directory, hidden ones left out, in
// the order of their names; a file may hold many documents. Load reads once;
// Source.Run keeps reading. Decode and Load are pure or read-only and safe for
// concurrent use; one Run is one goroutine, and calls back on it.
//
//	src := file.New(file.Options{Dir: "config", Logger: logger})
//	err := src.Run(ctx, func(set declare.Set, problems []declare.Problem) { ... })
package file
