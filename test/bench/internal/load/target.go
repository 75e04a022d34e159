package load

import "context"

// Target publishes to RabbitMQ and receives from it in one way, with an exchange and a
// durable queue of its own. Messages are persistent and mandatory, and every one is
// confirmed. Its methods are called one at a time, except that Receive may run beside
// Stream.
type Target interface {
	// Unary publishes the messages of feed with that many callers. Each caller waits
	// for the confirm of one message before it takes the next. Unary returns when feed
	// yields no more and every message is confirmed; otherwise it returns an error.
	Unary(ctx context.Context, callers int, feed *Feed) error
	// Stream publishes the messages of feed with at most window unconfirmed messages,
	// and returns as Unary does.
	Stream(ctx context.Context, window int, feed *Feed) error
	// Receive opens a consumer, tells sink so, passes every delivery to sink and
	// acknowledges it until sink is done. It returns when every acknowledgement was
	// sent and the consumer is closed.
	Receive(ctx context.Context, sink *Sink) error
}
