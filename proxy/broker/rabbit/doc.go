// Package rabbit is the queueing.Driver for one RabbitMQ node. It is the only
// package that imports amqp091-go.
//
// It owns two supervised connections (one publishes, one consumes), the pairing
// of confirms and returns, consumer channels and their epochs, topology, and the
// form an event has in AMQP. It does not retry, route or settle: package broker
// says what the layers above do.
//
//	n := rabbit.New(rabbit.Options{Address: "127.0.0.1:5672", Logger: logger})
//	g.Go(func() error { return n.Run(ctx) })
//	err := n.EnsureTopology(ctx, topology)
//	n.Publish(ctx, batch, told)
//
// # Goroutines
//
// Run owns one goroutine per connection (link.run), which owns the goroutines of
// its session: a watcher of the connection, its guard, and per publish channel a
// writer, a settler, one that ends what waits behind an alarm, and a watcher. A session is torn down only after they have all ended.
// Its socket has one that writes, until it is closed. Consume runs in its caller's
// goroutine; what is settled is sent by one that lives while there is something to
// send, and that Consume's drain waits for. Everything on Node is safe for concurrent
// use.
//
// # Decision: what is settled meanwhile is sent together
//
// Context: the library makes a system call for every settlement; see package frame.
// Decision: a consumer channel gathers what is settled while it sends, and acknowledges
// all up to a tag at once where it can.
// Cost: what was settled in time but not sent comes again, as if it were lost on the way.
package rabbit
