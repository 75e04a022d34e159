// Package broker is the seam between Warren and a message broker.
//
// It owns the portable types (Message, Delivery, Topology), the driver
// interfaces (Driver, Publisher, Consumer) and the one classification of what can
// go wrong (Error). Drivers live below it: rabbit speaks AMQP, membroker is in
// process. Both pass the conformance suite in brokertest.
//
// # Rules every driver keeps
//
//   - Success means the broker's confirm. A receipt without an error was
//     confirmed, and was not returned as unroutable.
//   - What was written but not confirmed is unknown, never failed: Error.Outcome
//     says which. A nack is unknown too.
//   - A driver classifies, it does not retry. It rebuilds its connections by
//     itself; what was in flight on the old ones fails at once with Closed.
//   - A delivery is settled once. It carries the epoch of the channel it came
//     from; settling it after that channel is gone returns ErrStale and does
//     nothing, for the broker hands the message out again by itself.
//   - Per consumer, deliveries arrive in the order of the queue.
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
