// Package frame is what lies between amqp091-go and the network: a buffered socket, and a
// framer that takes the frames of hot channels (those that publish or consume) out of the
// library's sight.
//
//	room send or receive ──Publish, Ack, Nack──▶ Channel ──▶ Framer ──▶ socket ══▶ broker
//	room send or receive ◀──Deliver, GiveBack, Confirm── Taker ◀── Framer ◀── socket ◀══
//
// It speaks bytes: it imports no client library, and leaves opening, closing and every other
// call of a channel to the one that is above it. What comes is given on by the goroutine
// that reads, which is the library's; what is written is sent by one of the socket's, until
// it is closed.
//
// # Decision: the frames of hot channels are Warren's
//
// Context: the library ends a connection over a header table that nests deeper than 32
// levels or has more than 8,192 elements, whoever published it.
// Decision: a framer between the library and the socket keeps deliveries, returns and
// confirms of the channels that publish or consume, and writes publishes and settlements
// at frame boundaries, never after the library has closed their channel.
// Cost: the framer knows what the library does with channels by the methods it writes.
//
// # Decision: what is written meanwhile is written together
//
// Context: the library makes a system call for every publish and every settlement,
// while it holds a lock, and reads 4 KiB at a time. In a drain that cost a sidecar 99
// µs of processor time an event instead of 71 (make bench-quick, with -before).
// Decision: the socket under the library takes writes into a buffer, which a
// goroutine gives to the kernel, and reads 64 KiB.
// Cost: up to 64 KiB more may be lost with a connection.
package frame
