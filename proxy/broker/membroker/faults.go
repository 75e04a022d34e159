package membroker

import "context"

// Faults is what a test does to a Broker; package faulty has it. Its methods are safe for
// concurrent use and, but for AwaitUp, do not block.
type Faults interface {
	// AwaitUp blocks while the broker is away. When ctx ends first it returns its error.
	AwaitUp(ctx context.Context) error
	// Attached is told of each connection before it is used, and reports whether the broker
	// is there. Detached is told when the connection is cut, in either case.
	Attached(c Connection) (up bool)
	Detached(c Connection)
	// Blocked reports whether publishes are refused.
	Blocked() bool
	// Held is nil while confirms flow, else a channel that is closed when they flow again.
	Held() <-chan struct{}
}

// Connection is what a node has between two faults.
type Connection interface {
	Node() *Node
	// Cut ends it, as a lost connection does; it has ended when Cut returns.
	Cut()
	// Changed tells NodeOptions.OnState.
	Changed()
}

// none is the Faults of a Broker that has none.
type none struct{}

func (none) AwaitUp(ctx context.Context) error { return ctx.Err() }
func (none) Attached(Connection) bool          { return true }
func (none) Detached(Connection)               {}
func (none) Blocked() bool                     { return false }
func (none) Held() <-chan struct{}             { return nil }

// Node implements Connection.
func (s *session) Node() *Node { return s.node }

// Cut implements Connection.
func (s *session) Cut() { s.close() }

// Changed implements Connection.
func (s *session) Changed() { s.node.options.OnState() }
