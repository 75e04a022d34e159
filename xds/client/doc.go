// Package client is the sidecar's side of xDS: one delta ADS stream, a table of
// what the control plane said, and the whole, consistent configuration that
// follows from it.
//
// It owns the stream (subscriptions, ACK and NACK, reconnects), the assembly of
// a [mesh.Config] out of Listeners, RouteConfigurations, Clusters and
// ClusterLoadAssignments, and the last-good file. It does not own what the
// resources mean (xds/wire decodes them) nor what is done with a Config (Apply).
//
// It is the door to its rooms, which nobody else imports and which have no lock:
//
//	client ──▶ assembly (a Config out of the table) ──▶ resource (the table)
//	       └─▶ lastgood (the file)
//
// The stream and the topics in use stay here: both live on the Client's one lock. Of Warren
// it imports mesh, xds, xds/wire, tracing and internal/pace besides.
//
// # What is subscribed
//
// Subscriptions of the workload come by the wildcard "*" on Listeners. Topics are
// asked for by name, at the first [Client.Await]. Routes, clusters
// and endpoints are asked for by the names that those listeners and their routes
// use, and unsubscribed when nothing uses them any more. A step that asks for new
// names and drops others sends both in one message. A name that a running Config
// needs is never unsubscribed.
//
// # What is applied
//
// A topic is listener, route, and for every backend a cluster with its nodes; a
// subscription is listener and cluster with nodes. Only complete ones are in a
// Config. An existing one keeps its previous complete form until the next is
// complete, so a broker a new route names is never missing. Apply is called when the
// assembled Config differs from the last one, not for every response, and the ACK of
// the response that completed it is sent after Apply has returned. A resource that
// Apply refuses is treated as one that does not decode, with the reason in the NACK.
// Values reached through a Config are shared between snapshots: a pointer that is
// equal is the same, unchanged object.
//
// # What is deleted
//
// A topic (or route, cluster, endpoints) that the control plane deletes keeps
// serving in the running process, marked DoesNotExist in [Client.Status]: an
// accident in the control plane must not stop publishers. It is left out of the
// last-good file. A subscription that is deleted ends at once: the workload no
// longer has it, and would take another workload's events if it went on consuming.
//
// # A resource's state
//
//	             good                  bad
//	Requested ───────────▶ Acked ◀──────────▶ Nacked   (a Nacked one keeps its
//	    │ removed, error,    │ ▲   good                 last good version)
//	    │ or 15 s of silence │ │ good
//	    ▼            removed ▼ │
//	DoesNotExist ◀───────────── (from Nacked too)
//
// # Decision: the reply to a response follows its application
//
// Context: the control plane counts ACKs to say that a change is in force.
// Decision: one response at a time: decode, assemble, apply, ACK, then read on.
// Cost: a slow Apply slows the stream; gRPC flow control carries that to the server.
//
// # Decision: doubtful versions are sent as ""
//
// Context: initial_resource_versions after a reconnect tells the server what to
// leave out; for a rejected or deleted resource our version may be the current one
// again. Decision: such a resource is sent with version "", which matches none:
// it is sent whole or reported removed. Cost: one resource more per reconnect.
//
// # Concurrency
//
// Run is one goroutine that alone writes the table, calls Apply and logs; it owns
// a reader and a writer per stream and the saver of the last-good file, and waits
// for them. All methods may be called from any goroutine at any time. The server
// must allow keepalive pings every 30 s (keepalive.EnforcementPolicy.MinTime).
//
//	c, err := client.New(client.Options{
//		Server: "127.0.0.1:17430", Node: node, StateFile: "last-good.json",
//		Apply: func(s *client.Snapshot) client.Refusals { table.Store(route.Compile(s.Config)); return nil },
//		Logger: logger,
//	})
//	g.Go(func() error { return c.Run(ctx) })
//	err = c.Await(ctx, mesh.Name{Namespace: "shop", Name: "orders"})
package client
