// Package status knows what is in force on the mesh and how far each declared object
// has come: the set that is served, the one that was refused, and what the sidecars
// have answered.
//
//	Accept, Refuse, Wait -+
//	                      +-> Observe -> Snapshot (MeshService, metrics)
//	counters of ACKs -----+      |
//	                             +-> Outbox -> Writer (a log; Kubernetes later)
//
// It owns the conditions of objects and the seam at which they are written back. It
// knows no source and serves nothing: objects carry their places, and the control
// plane's root turns snapshots into answers and metrics.
//
// Counters are kept by whoever serves, at each answer. An observation looks at the
// counter of each object, and what has not changed is taken over from the last one.
//
// Accept, Refuse and Wait are on the way of a change to the sidecars, so they wait for
// nothing: neither for an observation nor for a writer. All methods are safe for
// concurrent use; a Snapshot is shared and must not be changed.
//
//	outbox := status.NewOutbox(status.OutboxOptions{Writer: status.LogWriter(logger)})
//	state := status.New(status.Options{Sidecars: server.Sidecars, Outbox: outbox})
//	state.Accept(&status.InForce{Version: version, Objects: set.Objects, Counters: counters})
//	snapshot := state.Observe()
package status
