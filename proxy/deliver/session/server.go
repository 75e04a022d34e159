// Package session is a client's stream of deliveries: what it asks for, what it is handed,
// and what it says of that.
//
//	Stream.Receive ──▶ wire ──requests──▶ session ──▶ settler
//	Stream.Send    ◀── wire ◀──outbox──── session ◀── intake
//
// Each stream is a session that receives for itself. What a service has not settled when
// its stream ends goes back. The streams themselves are a door's.
package session

import (
	"context"
	"sync"
	"time"

	"github.com/warrenmesh/warren/internal/join"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/internal/intake"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/snapshot"
)

// Subscriptions finds subscriptions in the configuration in force.
type Subscriptions interface {
	// Subscription returns a subscription of this workload and a channel that is
	// closed when the configuration changes. It never blocks. The error is a
	// refusal.
	Subscription(name mesh.Name) (*snapshot.Subscription, <-chan struct{}, error)
}

// Options configure a Server.
type Options struct {
	// Namespace is that of subscriptions named without one. Required.
	Namespace string
	// Subscriptions is required.
	Subscriptions Subscriptions
	// Heartbeat is how long a stream may be silent; zero means 30 s.
	Heartbeat time.Duration
}

// Server serves streams of deliveries.
type Server struct {
	shared *settler.Shared
	intake *intake.Intake
	opts   Options

	drainOnce sync.Once
	draining  chan struct{}      // closed when Drain begins: take nothing new
	life      context.Context    //nolint:containedctx // of all sessions; ends when Drain's time is up: leave now
	cut       context.CancelFunc // ends life

	mu       sync.Mutex
	closed   bool                 // guarded by mu; no new sessions
	sessions join.Group           // added to under mu
	streams  map[mesh.Name]uint32 // guarded by mu; of each subscription
}

// NewServer builds a Server.
func NewServer(shared *settler.Shared, in *intake.Intake, opts Options) *Server {
	if opts.Heartbeat <= 0 {
		opts.Heartbeat = 30 * time.Second
	}
	s := &Server{shared: shared, intake: in, opts: opts, draining: make(chan struct{}), streams: map[mesh.Name]uint32{}}
	s.life, s.cut = context.WithCancel(context.Background())
	return s
}

// Serve serves a client's stream of deliveries. It returns when the client ends it, the subscription goes away, or the sidecar drains.
func (s *Server) Serve(stream Stream) error {
	if !s.enter() {
		return errDraining()
	}
	defer s.sessions.Done()
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	w := newWire(stream)
	go w.read(ctx) // ends when this call has returned, for then Receive fails
	init, err := s.awaitInit(ctx, w)
	if err != nil {
		return err
	}
	ss, err := s.newSession(w, init)
	if err != nil {
		return err
	}
	ss.others += s.count(ss.name, 1)
	defer s.count(ss.name, -1)
	return ss.run(ctx)
}

// count adds a stream of a subscription, or takes it off, and returns how many there were.
func (s *Server) count(name mesh.Name, change int) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.streams[name]
	if now := int(before) + change; now > 0 {
		s.streams[name] = uint32(now) //nolint:gosec // as many as streams may be open
	} else {
		delete(s.streams, name)
	}
	return before
}

func errDraining() error { return refusal.Later(refusal.Draining, "the sidecar is shutting down") }

func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.sessions.Add()
	return true
}

// Drain stops the flow of deliveries, lets services settle what they hold until
// ctx ends, then ends all streams. It returns when they have ended, at the latest a
// second after ctx, and is idempotent. What was not settled goes back.
func (s *Server) Drain(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.drainOnce.Do(func() { close(s.draining) })
	intake.End(ctx, &s.sessions, s.cut)
}

// initTimeout is how long a stream may take until it says what it wants: until then it
// only takes a place.
const initTimeout = 10 * time.Second

// awaitInit returns the first message of a stream.
func (s *Server) awaitInit(ctx context.Context, w *wire) (init Init, err error) {
	late := time.NewTimer(initTimeout)
	defer late.Stop()
	select {
	case <-late.C:
		return init, refusal.Late(broker.NotSent, "init: has not come within "+initTimeout.String()+" of the stream's begin")
	case first := <-w.requests:
		init, ok := first.(Init)
		if !ok {
			return init, refusal.Field(refusal.InvalidRequest, "init", "must be the first message of the stream")
		}
		return init, nil
	case err := <-w.readErr:
		return init, err
	case <-s.draining:
		return init, errDraining()
	case <-ctx.Done():
		return init, ctx.Err()
	}
}
