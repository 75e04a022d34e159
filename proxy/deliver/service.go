package deliver

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/deliver/internal/intake"
	"github.com/warrenmesh/warren/proxy/deliver/internal/ledger"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
	"github.com/warrenmesh/warren/proxy/deliver/push"
	"github.com/warrenmesh/warren/proxy/deliver/session"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/tap"
	"github.com/warrenmesh/warren/tracing/messaging"
)

// Options configure a Service.
type Options struct {
	// Namespace is that of subscriptions named without one. Required.
	Namespace string
	// Workload is written into dead letters as their app_id.
	Workload string
	// Subscriptions and Brokers are required.
	Subscriptions session.Subscriptions
	Brokers       intake.Brokers
	// Tracing is required; tracing.Disabled().Messaging() makes no spans.
	Tracing *messaging.Tracer
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
	shared   *settler.Shared
	intake   *intake.Intake
	sessions *session.Server
}

// New builds a Service.
func New(opts Options) *Service {
	shared := &settler.Shared{
		Tracing: opts.Tracing, Metrics: opts.Metrics, Tap: opts.Tap, Logger: opts.Logger,
		ReportEvery: cmp.Or(max(opts.ReportEvery, 0), time.Minute),
	}
	in := intake.New(intake.Options{
		Workload: opts.Workload, Brokers: opts.Brokers, Logger: opts.Logger, ShareEvery: opts.ShareEvery,
	})
	return &Service{shared: shared, intake: in, sessions: session.NewServer(shared, in, session.Options{
		Namespace: opts.Namespace, Subscriptions: opts.Subscriptions, Heartbeat: opts.Heartbeat,
	})}
}

// Subscribe serves a client's stream of deliveries. It returns when the client ends it,
// the subscription goes away, or the sidecar drains.
func (s *Service) Subscribe(stream session.Stream) error { return s.sessions.Serve(stream) }

// Drain stops the flow of deliveries, lets services settle what they hold until
// ctx ends, then ends all streams. It returns when they have ended, at the latest a
// second after ctx, and is idempotent. What was not settled goes back.
func (s *Service) Drain(ctx context.Context) { s.sessions.Drain(ctx) }

// NewPusher builds a Pusher that shares s's brokers and counters.
func NewPusher(s *Service, opts push.Options) *push.Pusher { return push.New(s.shared, s.intake, opts) }

// StaleSettlements counts settlements that came too late to have an effect.
func (s *Service) StaleSettlements() uint64 { return s.shared.Stale() }

// DeadLetters lists what became a dead letter here, by subscription and reason.
func (s *Service) DeadLetters() []ledger.DeadLetters { return s.shared.Ledger.Reports.List() }

// HeldKeys lists, sorted, the keys of a subscription that this sidecar holds back:
// one of their events was dead-lettered, under mesh.Hold, and what follows of them
// is dead-lettered too until ReleaseKeys. They are kept in memory: a restart of the
// sidecar, and another sidecar that takes the partition over, know nothing of them.
func (s *Service) HeldKeys(sub mesh.Name) []string { return s.shared.Holds.Of(sub).List() }

// ReleaseKeys lets the named keys of a subscription flow again, all of them when
// none is named, and returns how many were held. What was dead-lettered meanwhile
// stays a dead letter.
func (s *Service) ReleaseKeys(sub mesh.Name, names ...string) int {
	return s.shared.Holds.Of(sub).Release(names)
}
