package load

import "context"

// Target publishes to RabbitMQ and receives from it in one way. Messages are persistent
// and mandatory, and every one is confirmed. Its methods are called one at a time, except that Receive may run beside
// publishing.
type Target interface {
	// Unary publishes the messages of feed with that many callers. Each caller waits
	// for the confirm of one message before it takes the next. Unary returns when feed
	// yields no more and every message is confirmed; otherwise it returns an error.
	Unary(ctx context.Context, callers int, feed *Feed) error
	// Stream publishes the messages of feed over that many streams, with at most window
	// unconfirmed messages on each, and returns as Unary does.
	Stream(ctx context.Context, streams, window int, feed *Feed) error
	// Batch publishes the messages of feed in batches of that size, one after the other:
	// the next one begins when every message of the last is confirmed. It returns as
	// Unary does.
	Batch(ctx context.Context, size int, feed *Feed) error
	// Receive opens a consumer, tells sink so, passes every delivery to sink and
	// acknowledges it until sink is done. It returns when every acknowledgement was
	// sent and the consumer is closed.
	Receive(ctx context.Context, sink *Sink) error
}
