// Package passage is the way of an event that package publish has accepted and addressed,
// from its first try to its confirm: claim a node → write → confirm, again where the
// route's retry policy says so.
//
//   - sender.go: what all passages share
//   - transit.go: one event, its tries and what is answered
//   - flight.go: tries of consecutive events that are written together
//   - order.go: events of one key, one after the other
//   - budget.go: how many repeats a broker gets at once
//   - life.go: how long an event may live
//
// Package publish alone imports it. It imports route and retry, which say where and how
// often, pool, which has the nodes, and what watches: metrics, tap, tracing.
package passage

import (
	"context"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/limit"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/proxy/tap"
	"github.com/warrenmesh/warren/tracing/messaging"
)

// Brokers claims nodes; pool.Pool is one.
type Brokers interface {
	// Claim waits within ctx until what key needs is declared on the broker, and chooses
	// a node, preferring those not in tried.
	Claim(ctx context.Context, name mesh.Name, key string, tried []pool.Node) (pool.Node, error)
}

// Options configure a Sender. All but Tap, Metrics and Namespace are required; they are as
// in publish.Options.
type Options struct {
	Namespace string // of the topics that Accepted.Asked names without one
	Brokers   Brokers
	Tap       *tap.Bus
	Tracing   *messaging.Tracer
	Metrics   *metrics.Events
	InFlight  *limit.Budget
	Now       func() time.Time
	Random    func() float64
}

// Sender makes the passages of events. It is safe for concurrent use; only events of one
// key wait for each other.
type Sender struct {
	opts    Options
	lines   lines
	budgets budgets
}

// New builds a Sender.
func New(opts Options) *Sender { return &Sender{opts: opts} }
