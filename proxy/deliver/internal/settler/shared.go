package settler

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/proxy/deliver/internal/keys"
	"github.com/warrenmesh/warren/proxy/deliver/internal/ledger"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/tap"
	"github.com/warrenmesh/warren/tracing/messaging"
)

// Shared is what the settlers of a sidecar have in common. Its fields are set before the
// first one is built.
type Shared struct {
	// Tracing is required.
	Tracing *messaging.Tracer
	// Metrics measures deliveries; nil measures nothing.
	Metrics *metrics.Events
	// Tap shows deliveries to operators; nil shows none.
	Tap *tap.Bus
	// Logger is required.
	Logger *slog.Logger
	// ReportEvery is how often dead letters of one subscription and reason are logged.
	ReportEvery time.Duration

	Ledger ledger.Ledger
	Holds  keys.Holds

	stale atomic.Uint64
}

// Stale counts settlements that came too late to have an effect.
func (s *Shared) Stale() uint64 { return s.stale.Load() }
