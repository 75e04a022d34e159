// Package settler carries outcomes out: it says of a delivery that was received whether the
// service is to see it, of what was handed out what it is to telemetry, and has the broker
// do with it what the service said.
//
//	received ──▶ Wanted ──▶ (the service) ──┬─ Ack ──────▶ the broker
//	                                        └─ Conclude ─▶ the broker: another attempt, or a dead letter
//
// It knows neither how deliveries are received nor by which door the service has them. A
// Settler works for one stream or worker on one broker node; what all of a sidecar have in
// common is Shared.
package settler

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/keys"
	"github.com/warrenmesh/warren/proxy/deliver/internal/ledger"
	"github.com/warrenmesh/warren/proxy/snapshot"
)

const (
	maxReason     = 200 // bytes of a service's words that are kept
	settleTimeout = 5 * time.Second
	// restDelay is how long a delivery rests that cannot be settled. Given back at
	// once it would come back at once, for as long as the broker takes no publishes.
	restDelay = time.Second
	// MaxHold bounds how long a delivery may be unsettled, ack deadline, extensions
	// and waiting for another attempt together: brokers take back what is held for longer,
	// and all the rest with it (RabbitMQ by its consumer_timeout, 30 minutes by default).
	MaxHold = 25 * time.Minute
	// MaxPark bounds how long a delivery waits unsettled for its next attempt.
	MaxPark = 10 * time.Minute
)

// Settler carries outcomes out on one broker node, for a stream or a worker. It is
// safe for concurrent use.
type Settler struct {
	// set at construction
	shared       *Shared
	name         mesh.Name       // of the subscription
	id           string          // unique in this process
	life         context.Context //nolint:containedctx // outcomes not carried out when it ends are given up
	acknowledged *ledger.Acknowledged
	held         *keys.Held

	// set before anything is received
	driver  broker.Driver
	leaving <-chan struct{} // closed when nothing more is received
	order   *keys.Sequence  // of a subscription that is ordered by key; nil else

	// subscription is the form in force: of whatever begins now. It is replaced when the
	// configuration changes.
	subscription atomic.Pointer[snapshot.Subscription]

	// troubled is set while outcomes cannot be carried out, and that was told.
	troubled atomic.Bool
}

var counter atomic.Uint64

// New builds a Settler for a subscription. Outcomes that are not carried out when life ends
// are given up.
func New(life context.Context, shared *Shared, name mesh.Name, sub *snapshot.Subscription) *Settler {
	st := &Settler{
		shared: shared, name: name, id: strconv.FormatUint(counter.Add(1), 36), life: life,
		acknowledged: shared.Ledger.Acknowledged(name), held: shared.Holds.Of(name),
	}
	st.subscription.Store(sub)
	return st
}

// Use has the settler work on a node until leaving is closed. It is called before anything
// is received from there.
func (st *Settler) Use(driver broker.Driver, leaving <-chan struct{}) {
	st.driver, st.leaving = driver, leaving
}

// ID names the settler; it is unique in this process.
func (st *Settler) ID() string { return st.id }

// Name is the subscription's.
func (st *Settler) Name() mesh.Name { return st.name }

// Driver is the node that the settler works on.
func (st *Settler) Driver() broker.Driver { return st.driver }

// Subscription is the form in force.
func (st *Settler) Subscription() *snapshot.Subscription { return st.subscription.Load() }

// Update replaces the form in force.
func (st *Settler) Update(sub *snapshot.Subscription) { st.subscription.Store(sub) }

// Ended says that an epoch of a part is over: what came in it and is not settled goes back.
func (st *Settler) Ended(part string, epoch uint64) {
	st.shared.Ledger.Attempts.Ended(st.id, part, epoch)
}

// Gone says that all that the settler was given goes back.
func (st *Settler) Gone() { st.shared.Ledger.Attempts.Gone(st.id) }

// Crashed counts an attempt at d, which goes back, that ended with the service.
func (st *Settler) Crashed(d *delivery.Delivery, now time.Time) {
	st.shared.Ledger.Attempts.Crashed(st.id, d.Delivery, now)
}

// TooLate counts a settlement that came too late to have an effect.
func (st *Settler) TooLate() { st.shared.stale.Add(1) }

// Deadline is the time by which a delivery must be settled: an ack deadline after it was
// handed out, and within MaxHold of its arrival.
func Deadline(at, arrived time.Time, ackDeadline time.Duration) time.Time {
	return earlier(at.Add(ackDeadline), arrived.Add(MaxHold))
}
