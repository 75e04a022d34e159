// Package receive consumes: it attaches a consumer to a queue, hands out what comes as
// deliveries, and tells the broker what was settled.
//
//	frame.Channel ──Deliver──▶ inbound ──Decode──▶ sink, in the goroutine of Consume
//	      ◀──Ack, Nack── sender ◀── settlements ◀── Ack, Requeue, Reject of a delivery
//
// A Receiver outlives the sessions of its link: a consumer whose channel or connection ends
// is attached again, and its queue declared again if package layout remembers it. A delivery
// is settled on the channel that it came by, or not at all: see broker.ErrStale.
//
// # Goroutines
//
// Consume and Watch run in their caller's goroutine. What is settled is sent by one that
// lives while there is something to send, and that Consume's drain waits for.
//
// # Decision: what is settled meanwhile is sent together
//
// Context: the library makes a system call for every settlement; see package frame.
// Decision: a consumer channel gathers what is settled while it sends, and acknowledges
// all up to a tag at once where it can.
// Cost: what was settled in time but not sent comes again, as if it were lost on the way.
package receive
