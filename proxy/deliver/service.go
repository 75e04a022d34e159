// Package deliver is the way of an event from its broker to the service beside the
// sidecar, and of the service's outcome back: receive → filter → hand out → settle. It
// knows subscriptions, deliveries and outcomes, and nothing of how a broker keeps them.
//
// Each Subscribe stream is a session that receives for itself. What a service
// has not settled when its stream ends goes back. A delivery is at its end only when
// its outcome is durable: the driver sees to that (broker.Delivery.Settle).
//
// A delivery's life:
//
//	broker ──▶ waiting for credit ──▶ handed out ──┬─ ack ─────────▶ gone
//	  ▲                                            ├─ retry ───────▶ waits there ──▶ broker (attempt+1)
//	  │                                            ├─ dead-letter ─▶ a dead letter
//	  │                                            └─ ack deadline ▶ as retry
//	  └──── stream or epoch ends ◀─────────────────┘
//
// A subscription that is ordered by key has a part for each partition, and
// a delivery keeps its place:
//
//	parts ──▶ in the line of its key ──▶ handed out ──┬─ ack ─────────▶ gone, the next of its key
//	  ▲              ▲                                ├─ dead-letter ─▶ a dead letter, then as ack
//	  │              └──── waits, and its key ◀───────┴─ retry, ack deadline
//	  └──── stream or epoch ends, or the part is given up
package deliver

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/internal/join"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/keys"
	"github.com/warrenmesh/warren/proxy/deliver/ledger"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/snapshot"
	"github.com/warrenmesh/warren/proxy/tap"
	"github.com/warrenmesh/warren/tracing"
)

// Subscription is a compiled subscription.
type Subscription = snapshot.Subscription

// Subscriptions finds subscriptions in the configuration in force.
type Subscriptions interface {
	// Subscription returns a subscription of this workload and a channel that is
	// closed when the configuration changes. It never blocks. The error is a
	// refusal.
	Subscription(name mesh.Name) (*Subscription, <-chan struct{}, error)
}

// Brokers finds running drivers; pool.Pool is one.
type Brokers interface {
	// Ready waits within ctx until what key needs is declared on the broker.
	Ready(ctx context.Context, name mesh.Name, key string) error
	// PickConsumer chooses a node to consume from. It never blocks.
	PickConsumer(name mesh.Name) (broker.Driver, error)
}

// Options configure a Service.
type Options struct {
	// Namespace is that of subscriptions named without one. Required.
	Namespace string
	// Workload is written into dead letters as their app_id.
	Workload string
	// Subscriptions and Brokers are required.
	Subscriptions Subscriptions
	Brokers       Brokers
	// Tracing is required; tracing.Disabled().Messaging() makes no spans.
	Tracing *tracing.Messaging
	// Metrics measures deliveries; nil measures nothing.
	Metrics *metrics.Events
	// Tap shows deliveries to operators; nil shows none.
	Tap *tap.Bus
	// Logger is required.
	Logger *slog.Logger
	// Heartbeat is how long a stream may be silent; zero means 30 s.
	Heartbeat time.Duration
	// ShareEvery is how often a stream or pusher of an ordered subscription looks
	// whether it has more than its share of the partitions; zero means 1.5 s.
	ShareEvery time.Duration
	// ReportEvery is how often dead letters of one subscription and reason are logged;
	// zero means once a minute.
	ReportEvery time.Duration
}

// Service hands events to services, for whatever door they come in by.
type Service struct {
	opts  Options
	stale atomic.Uint64

	ledger ledger.Ledger
	holds  keys.Holds

	drainOnce sync.Once
	draining  chan struct{}      // closed when Drain begins: take nothing new
	life      context.Context    //nolint:containedctx // of all sessions; ends when Drain's time is up: leave now
	cut       context.CancelFunc // ends life

	mu       sync.Mutex
	closed   bool       // guarded by mu; no new sessions
	sessions join.Group // added to under mu
}

// New builds a Service.
func New(opts Options) *Service {
	if opts.Heartbeat <= 0 {
		opts.Heartbeat = 30 * time.Second
	}
	if opts.ShareEvery <= 0 {
		opts.ShareEvery = defaultShareEvery
	}
	if opts.ReportEvery <= 0 {
		opts.ReportEvery = time.Minute
	}
	s := &Service{opts: opts, draining: make(chan struct{})}
	s.life, s.cut = context.WithCancel(context.Background())
	return s
}

// StaleSettlements counts settlements that came too late to have an effect.
func (s *Service) StaleSettlements() uint64 { return s.stale.Load() }

// DeadLetters lists what became a dead letter here, by subscription and reason.
func (s *Service) DeadLetters() []ledger.DeadLetters { return s.ledger.Reports.List() }

// HeldKeys lists, sorted, the keys of a subscription that this sidecar holds back:
// one of their events was dead-lettered, under mesh.Hold, and what follows of them
// is dead-lettered too until ReleaseKeys. They are kept in memory: a restart of the
// sidecar, and another sidecar that takes the partition over, know nothing of them.
func (s *Service) HeldKeys(sub mesh.Name) []string { return s.holds.Of(sub).List() }

// ReleaseKeys lets the named keys of a subscription flow again, all of them when
// none is named, and returns how many were held. What was dead-lettered meanwhile
// stays a dead letter.
func (s *Service) ReleaseKeys(sub mesh.Name, names ...string) int {
	return s.holds.Of(sub).Release(names)
}

// Subscribe serves a client's stream of deliveries. It returns when the client ends it, the subscription goes away, or the sidecar drains.
func (s *Service) Subscribe(stream Stream) error {
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
	return ss.run(ctx)
}

func errDraining() error { return refusal.Later(refusal.Draining, "the sidecar is shutting down") }

func (s *Service) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.sessions.Add()
	return true
}

// cutTimeout is how long a session may take to end once Drain's time is up. Only a
// broker that does not answer makes it take long; then closing the broker's
// connection ends it.
const cutTimeout = time.Second

// Drain stops the flow of deliveries, lets services settle what they hold until
// ctx ends, then ends all streams. It returns when they have ended, at the latest a
// second after ctx, and is idempotent. What was not settled goes back.
func (s *Service) Drain(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.drainOnce.Do(func() { close(s.draining) })
	if s.sessions.Wait(ctx) != nil {
		s.cut()
		awaitCut(&s.sessions)
	}
}

// awaitCut waits until what was cut has ended, at most for cutTimeout.
func awaitCut(g *join.Group) {
	ctx, cancel := context.WithTimeout(context.Background(), cutTimeout)
	defer cancel()
	_ = g.Wait(ctx) // what is left then waits for a broker that does not answer
}

// initTimeout is how long a stream may take until it says what it wants: until then it
// only takes a place.
const initTimeout = 10 * time.Second

// awaitInit returns the first message of a stream.
func (s *Service) awaitInit(ctx context.Context, w *wire) (init Init, err error) {
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
