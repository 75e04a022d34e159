// Package broker is the seam between Warren and a message broker.
//
// It speaks of topics, subscriptions and outcomes: whoever is above it knows no
// exchange, no queue and no offset of a log. It owns the portable types (Message,
// Delivery, Settlement), the driver's interfaces (Driver, and KeyOrder, Letters,
// Watcher and Gauge for what only some brokers can do) and the one classification of what can
// go wrong (Error). Drivers live below it: queueing makes one of a broker with
// exchanges and queues, of which rabbit speaks AMQP and membroker is in process. All
// pass the conformance suite in internal/brokertest.
//
// # Rules every driver keeps
//
//   - Success means the broker's confirm. A message that is told to be published was
//     confirmed, and was not returned as unroutable.
//   - What was written but not confirmed is unknown, never failed: Error.Outcome
//     says which. A nack is unknown too.
//   - A driver classifies, it does not retry. It rebuilds its connections by
//     itself; what was in flight on the old ones fails at once with Closed.
//   - A delivery is settled once. It carries the epoch it came in; settling it
//     after that is over returns ErrStale and does nothing, for the broker hands
//     the message out again by itself.
//   - A settlement without an error is durable: what is to be tried again or is a
//     dead letter is there before its original is gone.
//   - A message that is no event is a delivery of its own kind (Delivery.Malformed),
//     whole, and no fault of the connection.
//   - Per receiver, deliveries arrive in the order they were published.
//   - Every buffer is bounded: unconfirmed publishes by the window, unsettled
//     deliveries by the prefetch.
//
// # Decision: one connection to publish, one to consume
//
// Context: a broker under a memory or disk alarm stops reading from connections
// that publish; acks on such a connection stall with it.
// Decision: a driver never publishes and consumes on one connection.
// Cost: one more socket per sidecar and broker node.
package broker
