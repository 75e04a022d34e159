// Package layout declares what a broker is to have: exchanges, queues, bindings,
// partitioners, and what queues give up their messages to. Objects remembers what was
// declared under Manage, so that it can be declared again after a reconnect, or because
// somebody deleted it, and keeps what declaring came to: queues without a dead-letter queue
// of their own, queues that were gone.
//
//	queueing.Topology ──Declare──▶ declarer ──▶ a channel of a conn.Session ──▶ broker
//	        └──Remember──▶ memory ──Restore──────▲
//
// A refusal closes a channel, so the declarer has one of its own, and a new one after each.
// Rooms send and receive ask it what is remembered, and have it declared again; it knows
// neither of them. Objects is safe for concurrent use.
package layout
