// Package faults breaks everything around Warren and checks that nothing is lost,
// nothing is said that is not so, and nothing is out of order.
//
// It runs the built sidecar and control plane against real RabbitMQ nodes, as a
// user does, under a load that records every call and every delivery:
//
//	publishers ──gRPC──▶ sidecar ══▶ toxic link ══▶ RabbitMQ ══▶ toxic link ══▶ sidecar ──gRPC──▶ services
//	    │               "checkout"                 1 or 3 nodes                "billing"             │
//	    │                    ▲                          ▲                          ▲                 │
//	    │                    └────── control plane ─────┼──────────────────────────┘                 │
//	    │                                               │                                            │
//	    │                              Scenario: one fault, with its proof                           │
//	    ▼                                               ▼                                            ▼
//	┌──────────────────────────────── history: who did and saw what, and when ─────────────────────────┐
//	└─────────────────────────────────────────────┬──────────────────────────────────────────────────────┘
//	                                              ▼
//	                                check: I1 to I8, in one pass
//
// A Scenario is one row of the matrix. Its function builds a World, disturbs it,
// heals it, and finishes: the load ends, the queues are drained, what is left in
// them is collected. Every fault comes with the proof that it took hold and with
// what was in flight at that moment; a run without is a failed run, however well
// everything went. A scenario may check more than the invariants; it says so by
// failing its trial, as a test does.
//
// Scenarios run one at a time. They share the nodes, which are started once, and
// nothing else: each has a vhost, a namespace and processes of its own.
//
//	rig, err := faults.New(ctx, faults.Options{Dir: ".run/faults"})
//	defer rig.Close()
//	for _, s := range faults.Scenarios() {
//		result, err := rig.Run(ctx, s)
//		...
//	}
//
// Packages: load (publishers and services), hostile (a client that attacks), toxic (the network), middle (the way to
// the control plane), history (the record), check (the judge), schedule (what a soak
// does when), cmd/faults (the program).
package faults
