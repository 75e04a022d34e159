package membroker

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/warrenmesh/warren/internal/join"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/store"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// server is what State reports; the version is that of the behaviour, not of Warren.
const server = "membroker 1.0"

// NodeOptions configures one node.
type NodeOptions struct {
	// Window is how many publishes may wait for their confirm. 0 means 2048.
	Window int
	// MaxDataBytes is the largest data of an event. 0 means 16 MiB.
	MaxDataBytes int
	// MaxCopyBytes is the largest message that is taken as a copy. 0 means any. Of a dead
	// letter that need not be whole, headers are left out until it fits.
	MaxCopyBytes int
	// OnState is called when State may have changed, by any goroutine. It must return at
	// once. nil means that nobody needs to know.
	OnState func()
}

// Node is one attachment to a Broker. It implements queueing.Driver.
//
//	New ──Run──▶ up ──cut──▶ down ──▶ up (later epochs) ──ctx ends──▶ closed
type Node struct {
	// Set at construction.
	broker  *Broker
	options NodeOptions

	// Atomic.
	ran     atomic.Bool
	epoch   atomic.Uint64 // of the newest channel
	stale   atomic.Uint64 // stale settlements
	session atomic.Pointer[session]

	// Guarded by mu.
	mu      sync.Mutex
	changed chan struct{} // closed when session is set, then replaced

	held join.Group // whoever waits for a confirm that is withheld
}

var _ queueing.Driver = (*Node)(nil)

// Node makes a node of b. It is down until Run.
func (b *Broker) Node(options NodeOptions) *Node {
	options.Window = cmp.Or(options.Window, 2048)
	options.MaxDataBytes = cmp.Or(options.MaxDataBytes, 16<<20)
	if options.OnState == nil {
		options.OnState = func() {}
	}
	return &Node{broker: b, options: options, changed: make(chan struct{})}
}

// Run implements queueing.Driver. It returns nil after ctx has ended.
func (n *Node) Run(ctx context.Context) error {
	if n.ran.Swap(true) {
		return errors.New("run memory broker node: it ran before")
	}
	defer n.held.Wait(context.WithoutCancel(ctx)) //nolint:errcheck // the last session is over, and so they end
	for n.broker.options.Faults.AwaitUp(ctx) == nil {
		s := n.open()
		select {
		case <-s.done:
		case <-ctx.Done():
			s.close()
		}
	}
	return nil
}

// State implements queueing.Driver.
func (n *Node) State() broker.State {
	s := broker.State{Server: server, Stale: n.stale.Load(), Blocked: n.broker.options.Faults.Blocked()}
	s.Consuming = n.live() != nil
	s.Publishing = s.Consuming && !s.Blocked
	switch {
	case !s.Consuming:
		s.Reason = "not connected to the broker in this process"
	case s.Blocked:
		s.Reason = "the broker raised an alarm"
	}
	return s
}

// live returns the session, nil when the node is down.
func (n *Node) live() *session {
	s := n.session.Load()
	if s == nil || s.ended() {
		return nil
	}
	return s
}

// awaitSession blocks until the node is up. It returns nil when ctx ends first.
func (n *Node) awaitSession(ctx context.Context) *session {
	for {
		n.mu.Lock()
		changed := n.changed
		n.mu.Unlock()
		if s := n.live(); s != nil {
			return s
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// open attaches a new session to the broker.
func (n *Node) open() *session {
	s := &session{node: n, done: make(chan struct{}), channels: map[*channel]struct{}{}}
	if !n.broker.options.Faults.Attached(s) { // it has gone since AwaitUp
		s.close()
		return s
	}
	n.session.Store(s)
	n.mu.Lock()
	close(n.changed)
	n.changed = make(chan struct{})
	n.mu.Unlock()
	n.options.OnState()
	return s
}

// session is what a node has between two faults. It implements Connection.
type session struct {
	// Set at construction.
	node *Node
	done chan struct{} // closed by close

	// Guarded by mu.
	mu       sync.Mutex
	closed   bool
	channels map[*channel]struct{}
	window   *window // of the hold in force
}

func (s *session) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// close ends the session: publishes that wait for their confirm fail, and unsettled deliveries are
// back in their queues when it returns. It is idempotent.
func (s *session) close() {
	s.mu.Lock()
	channels := s.channels
	if !s.closed {
		s.closed = true
		close(s.done)
	}
	s.channels = nil
	s.mu.Unlock()
	for c := range channels {
		c.close()
	}
	s.node.broker.options.Faults.Detached(s)
	s.node.options.OnState()
}

// openChannel returns nil when the session has ended.
func (s *session) openChannel(q *store.Queue, prefetch int) *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	c := newChannel(s, q, prefetch)
	s.channels[c] = struct{}{}
	return c
}

func (s *session) forget(c *channel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.channels, c)
}
