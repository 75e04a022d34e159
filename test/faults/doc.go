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
// A rig.Scenario is one row of the matrix. Its function starts the rig.World, injects a
// fault, heals it, and finishes: the load ends, the queues are drained, and the messages
// left in them are collected. Every fault comes with a proof that it took effect and
// with the number of calls and deliveries in flight at that moment. A run without them
// fails, even if nothing else went wrong. A scenario may check more than the
// invariants; it fails its trial, as a test does.
//
// This package runs scenarios one at a time and writes the page about them. They share
// only the nodes, which are started once: each scenario has a vhost, a namespace and
// processes of its own.
//
//	runner, err := faults.New(ctx, faults.Options{Dir: ".run/faults"})
//	defer runner.Close()
//	for _, s := range faults.Scenarios() {
//		result, err := runner.Run(ctx, s)
//		...
//	}
//
// Packages, each of which imports only packages below it:
//
//   - cmd/faults: the program
//   - faults: the Runner, the list of the rows and the page
//   - soak: random faults from a seed
//   - rows/broker, rows/process, rows/event, rows/stranger: the rows, by what is at fault
//   - rig: the world of a scenario
//   - load, toxic, middle, foreign, hostile: publishers and services, the network to the
//     broker, the connection to the control plane, messages of other programs, attacks
//   - check: the judgement
//   - history: the records
package faults
