// Package resource is what a client knows of resources: the good ones, as decoded
// (entry.go), the state that each is in (state.go), all of them in a [Table] (table.go), and
// the names to be subscribed to (needs.go).
//
// It changes when it is told what was received, asked for and refused; it sends nothing and
// puts nothing in force. Of Warren it imports xds and xds/wire. It has no goroutines and no
// locks: its caller guards the table. Entries are immutable.
package resource
