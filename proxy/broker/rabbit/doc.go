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
// # Decision: one settler per publish channel
//
// Context: a mandatory message that no queue takes is returned and then acked.
// Decision: one goroutine per channel waits for confirmations in order, drains
// the returns without blocking, then decides. The connection's reader enqueues the
// return before it settles the ack, and the buffer holds a whole window, so the
// pairing is exact. Two copies of one event in flight at once are told apart by
// the header warren-copy, which the later copy alone carries.
// What was confirmed at once it tells at once, a range of each batch.
// Cost: a confirm that overtakes an older one waits for it.
//
// # Decision: a publish channel for each exchange
//
// Context: a publish to a missing exchange closes its channel, a nack retires it,
// and a queue whose leader is frozen holds up the confirms behind it.
// Decision: each exchange has a channel of its own, and the partitions of one share
// four, up to Options.Channels; all are opened on first use.
// Cost: 80 KB for each, most of it room for returns.
//
// # Decision: what is settled meanwhile is sent together
//
// Context: the library makes a system call for every settlement; see package frame.
// Decision: a consumer channel gathers what is settled while it sends, and acknowledges
// all up to a tag at once where it can.
// Cost: what was settled in time but not sent comes again, as if it were lost on the way.
package rabbit
