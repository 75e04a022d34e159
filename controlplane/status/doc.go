// Package status tracks the set that is in force, the one that was refused, and the
// sidecars' answers. From these it computes how far each declared object is.
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
// The server keeps the counters at each answer. An observation looks at the counter of
// each object, and takes over from the last one what has not changed.
//
// Accept, Refuse and Wait are on the path of a change to the sidecars, so they never
// wait for an observation or a writer. All methods are safe for concurrent use; a
// Snapshot is shared and must not be changed.
//
//	outbox := status.NewOutbox(status.OutboxOptions{Writer: status.LogWriter(logger)})
//	state := status.New(status.Options{Sidecars: server.Sidecars, Outbox: outbox})
//	state.Accept(&status.InForce{Version: version, Objects: set.Objects, Counters: counters})
//	snapshot := state.Observe()
package status
