// Package rabbit is the queueing.Driver for one RabbitMQ node. Its folder is the only one
// that imports amqp091-go.
//
// A Node owns two supervised connections, one that publishes and one that consumes, and puts
// the rooms together that work on them. It does not retry, route or settle: package broker
// says what the layers above do.
//
//	n := rabbit.New(rabbit.Options{Address: "127.0.0.1:5672", Logger: logger})
//	g.Go(func() error { return n.Run(ctx) })
//	err := n.EnsureTopology(ctx, topology)
//	n.Publish(ctx, batch, told)
//
// # Rooms
//
// They are folders of internal/, so nobody outside can import any. Arrows point down: a room
// imports those below it.
//
//	send: publishes and confirms      receive: consumers and settlements
//	                 layout: what is declared
//	                 conn: connections, kept up
//	                 frame: bytes between amqp091-go and the network
//	envelope: a queueing.Message in AMQP  ▶  mapping: an event in AMQP  ▶  message: the bytes of one
//	fault: what errors mean
//
// # Goroutines
//
// Run owns one goroutine for each connection, which owns those of its session; each room
// says which it adds. A session is torn down only after they have all ended. Everything on
// Node is safe for concurrent use.
package rabbit
