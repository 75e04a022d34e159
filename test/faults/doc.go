// Package faults injects faults into everything around Warren and checks that no event
// is lost, no answer is wrong and nothing is out of order.
//
// It runs the built sidecar and control plane against real RabbitMQ nodes, as a user
// does, under a load that records every call and every delivery:
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
// A Scenario is one row of the matrix. Its function builds a World, injects a fault,
// heals it, and finishes: the load ends, the queues are drained, and the messages left
// in them are collected. Every fault comes with a proof that it took effect and with
// the number of calls and deliveries in flight at that moment. A run without them
// fails, even if nothing else went wrong. A scenario may check more than the
// invariants; it fails its trial, as a test does.
//
// Scenarios run one at a time. They share only the nodes, which are started once: each
// scenario has a vhost, a namespace and processes of its own.
//
//	rig, err := faults.New(ctx, faults.Options{Dir: ".run/faults"})
//	defer rig.Close()
//	for _, s := range faults.Scenarios() {
//		result, err := rig.Run(ctx, s)
//		...
//	}
//
// Packages:
//
//   - load: publishers and services
//   - hostile: a client that attacks
//   - toxic: the network to the broker
//   - middle: the connection to the control plane
//   - history: the records
//   - check: the judgement
//   - schedule: the schedule of a soak
//   - cmd/faults: the program
package faults
