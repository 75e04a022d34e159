package load

import "context"

// Target is one way into RabbitMQ and out of it, with an exchange and a durable
// queue of its own. Messages are persistent and mandatory, every one is confirmed.
// One call at a time, except that Receive may run beside Stream.
type Target interface {
	// Unary publishes what feed yields by that many callers, each of which waits for
	// the confirm of one message before it takes the next. It returns when feed
	// yields no more and everything is confirmed; anything that is not is an error.
	Unary(ctx context.Context, callers int, feed *Feed) error
	// Stream publishes what feed yields with at most window messages unconfirmed, and
	// returns as Unary does.
	Stream(ctx context.Context, window int, feed *Feed) error
	// Receive opens a consumer, says so to sink, and hands over and acknowledges what
	// comes until sink is done. It returns when every acknowledgement was sent
	// and the consumer is closed.
	Receive(ctx context.Context, sink *Sink) error
}
