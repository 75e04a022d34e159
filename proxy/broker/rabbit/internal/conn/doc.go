// Package conn keeps a connection to a broker up. A Link dials, hands each Session to whoever
// prepares it, raises it for others to use, and begins anew when it ends; a Session is one
// AMQP connection from its handshake to its end, over package frame.
//
//	Link ──dial──▶ Session ──Prepare──▶ raised: Live, Wait ──▶ rooms send, receive, layout
//	  ▲               │
//	  └─── Backoff ◀──┘ lost
//
// It knows nothing of what is published, consumed or declared: rooms above open channels on
// a session, run goroutines in it, and say how long somebody has waited for the broker.
//
// # Goroutines
//
// Link.Run owns the goroutines of its session: a watcher of the connection, its guard, and
// what rooms spawn. A session is torn down only after they have all ended. Everything here is
// safe for concurrent use.
//
// # Decision: new objects on every reconnect
//
// Context: amqp091-go can recover connections by itself, but acks carry no epoch
// across its recovery: late acks for old tags delete other, unprocessed messages.
// Decision: Config.Recovery stays nil. Every reconnect makes a new Connection and
// new Channels; each consumer channel has an epoch of its own, and settling a
// delivery of a channel that is gone does nothing and returns broker.ErrStale.
// Cost: the driver rebuilds channels, topology and consumers itself.
//
// # Decision: silence is asked
//
// Context: a half-open connection and a frozen broker answer nothing, and heartbeats
// tell after 1.5 intervals, 15 seconds.
// Decision: while publishes, consumers or calls wait on a connection that is silent,
// its guard asks the broker something; without an answer the connection is over,
// within ConfirmWatch of the last sign of life.
// Cost: an idle consumer makes one exchange of 30 bytes every 1.2 seconds.
//
// # Decision: an RPC without an answer ends its connection
//
// Context: the library's calls take no context, and a half-open connection
// answers nothing until heartbeats fail, 1.5 intervals later.
// Decision: each call has a timer that closes the raw socket, and each write has
// a deadline; callers of Publish and EnsureTopology wait with their own context.
// Cost: a broker that needs longer than Options.CallTimeout to answer is taken
// for dead.
package conn
