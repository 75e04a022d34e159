// Package declare turns what sources found into one set of declared objects:
// defaults, validation of each object, and names that are declared twice. Every
// source hands its objects through here, so an object means the same wherever it was
// declared.
//
//	source -> Check (each object once) -> Batch (each source) -> Declare -> Set
//	             |                                                  |
//	             +- problems of one object -------------------------+- problems
//
// It owns Object, Set and Problem, which sources, resolve and status share, and the
// rules for what must not change while an object is in force (Commitments). It knows
// no source: an object brings its place along, which is a file and the lines of its
// fields, or nothing where its kind, namespace and name say where it is, as in
// Kubernetes. What references mean is controlplane/resolve's business; the rules for
// one object stand in api/v1alpha1.
//
// Check, Declare and Sort are pure. A Set is immutable once it was handed on and may
// be shared between goroutines; Commitments are safe for concurrent use.
//
//	checked := declare.Check(declare.Object{Value: topic})
//	set, problems := declare.Declare(declare.Batch{Source: "kubernetes", Objects: []declare.Checked{checked}})
//	for _, p := range problems {
//		fmt.Println(p) // EventTopic shop/orders: spec.publish.ttl: is 0s: want ...
//	}
//
// # Decision: objects are checked one by one, and joined later
//
// Context: a mesh has thousands of objects, and most changes are of one.
// Decision: Check is called when a source reads an object, and its result can be
// kept with what was read. Declare takes nothing but results of Check, so that no
// source can leave validation out; it only joins.
// Cost: an object's problems are kept as long as the object is.
package declare
