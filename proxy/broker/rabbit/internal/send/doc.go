// Package send publishes: it gives each publish a place in a window, writes it on the channel
// of its exchange, pairs its return and its confirm, and tells the outcome.
//
//	Sender.Publish ──▶ batch of pendings, encoded ──▶ run ──▶ lane of the exchange ──▶ channel
//	     told ◀── confirmer ◀── ring ◀── confirms, returns ◀── wire ◀──▶ frame.Channel ◀── writer ◀──┘
//
// A Sender outlives the sessions of its link; a publisher, with its lanes and what it knows
// of exchanges, belongs to one. It classifies failures and repeats nothing.
//
// # Goroutines
//
// Publish runs in its caller's goroutine and never blocks on the socket. Each publish
// channel has a writer, a confirmer, one that ends what waits behind an alarm, and a watcher;
// each lane one that opens its channels. All are the session's, and end with it.
//
// # Decision: one confirmer per publish channel
//
// Context: a mandatory message that no queue takes is returned and then acked.
// Decision: one goroutine per channel waits for confirmations in order, drains
// the returns without blocking, then decides. The connection's reader enqueues the
// return before it decides the ack, and the buffer holds a whole window, so the
// pairing is exact. Two copies of one event in flight at once are told apart by
// the header warren-copy, which the later copy alone carries.
// What was confirmed at once it tells at once, a range of each batch.
// Cost: a confirm that overtakes an older one waits for it.
//
// # Decision: the frames of a batch are made by whoever publishes
//
// Context: a hand-over for each message, to the writer and to the confirmer, cost as much as
// the message.
// Decision: Publish encodes all of a batch into one buffer. A run of it, messages of one
// exchange, is handed to the writer as one and written at once. What is written is in a ring,
// where the connection's reader marks what is confirmed; the confirmer wakes up once for all
// that is. A copy header, which only the writer knows of, is put into the frames.
// Cost: until it is written, a body of up to 16 KiB is in memory twice.
//
// # Decision: a publish channel for each exchange
//
// Context: a publish to a missing exchange closes its channel, a nack retires it,
// and a queue whose leader is frozen holds up the confirms behind it.
// Decision: each exchange has a channel of its own, and the partitions of one share
// four, up to Options.Channels; all are opened on first use.
// Cost: 80 KB for each, most of it room for returns.
package send
