// Package membroker is the in-process broker: a real implementation of
// queueing.Driver that lives and dies with the process.
//
// It owns exchanges (topic, direct, fanout and the default exchange), queues with
// delays and bounds, and their nodes. It serves `warren dev`, a first look without
// RabbitMQ, and tests, and passes the same conformance suite as the rabbit driver.
// Nothing in it is durable, and nothing leaves the process.
//
// One Broker is shared by any number of nodes; each sidecar gets its own node,
// which is what a connection is to RabbitMQ. All methods of Broker and of a node
// are safe for concurrent use. Published events are copied once; the copy is
// handed to every consumer and must be treated as read-only.
//
//	b := membroker.New(membroker.Options{})
//	defer b.Close()
//	node := b.Node(membroker.NodeOptions{})
//	g.Go(func() error { return node.Run(ctx) })
//	err := node.EnsureTopology(ctx, topology)
//	node.Publish(ctx, batch, told)
//
// membroker.go is the broker, topology.go, exchange.go and partitioner.go what is declared
// and how it routes; node.go, publish.go and consume.go are what a sidecar does by its
// node, letter.go is what queues give up, and faults.go what tests can do. Room store
// keeps the queues, and imports none of these. The package imports queueing, broker, mesh and internal/join.
//
// # What differs from RabbitMQ
//
//   - A confirm is given within Publish, so the window fills only while
//     a test keeps confirms back.
//   - Queue types are labels: they are kept and compared, and change nothing.
//   - A full queue never drops what it has. The publish is nacked, and the other
//     queues it was routed to keep their copy, as with reject-publish.
//   - Exchanges of type headers are refused, but for those that partitioners are.
//
// # Faults
//
// Nothing happens to a Broker by itself. Package faulty has one for tests, which is cut,
// goes away, blocks publishing or keeps confirms back.
package membroker
