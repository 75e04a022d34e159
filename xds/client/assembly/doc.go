// Package assembly makes a whole, consistent configuration out of a table of resources:
// [Next] (assemble.go) returns the next [Forms] (forms.go), the objects that are complete,
// and the names that have to be subscribed to for them. What an Apply refused is barred
// (barred.go) and counts as incomplete.
//
//	resource.Table ──Next──▶ Forms ──Config──▶ mesh.Config
//	     what is in force ──▲   └──▶ resource.Needs
//
// Of Warren it imports mesh, xds, xds/wire and the room resource. It has no goroutines and
// no locks: its caller guards the table. Forms are immutable.
package assembly
