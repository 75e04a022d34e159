// Package intake takes deliveries from brokers for whoever hands them out: all that a
// subscription has, or, if it is ordered by key, what is next of each key, from those parts
// that are this consumer's share.
//
//	broker ──▶ Consume ──▶ settler (wanted?) ──▶ Sink.Offer ──▶ a stream or a worker
//
// It settles what the service is not to see, and nothing that it offered.
package intake

import (
	"context"
	"log/slog"
	"time"

	"github.com/warrenmesh/warren/internal/join"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
	"github.com/warrenmesh/warren/proxy/snapshot"
	"github.com/warrenmesh/warren/xds"
)

// Brokers finds running drivers; pool.Pool is one.
type Brokers interface {
	// Ready waits within ctx until what key needs is declared on the broker.
	Ready(ctx context.Context, name mesh.Name, key string) error
	// PickConsumer chooses a node to consume from. It never blocks.
	PickConsumer(name mesh.Name) (broker.Driver, error)
	// Changed returns a channel that is closed when the state of a node may have changed.
	Changed() <-chan struct{}
}

// Options configure an Intake.
type Options struct {
	// Workload names consumers to the broker.
	Workload string
	// Brokers and Logger are required.
	Brokers Brokers
	Logger  *slog.Logger
	// ShareEvery is how often a consumer of an ordered subscription looks whether it has
	// more than its share of the partitions; zero means 1.5 s.
	ShareEvery time.Duration
}

// Intake is a sidecar's. It is safe for concurrent use.
type Intake struct{ opts Options }

// New builds an Intake.
func New(opts Options) *Intake {
	if opts.ShareEvery <= 0 {
		opts.ShareEvery = defaultShareEvery
	}
	return &Intake{opts: opts}
}

// Sink is where deliveries go.
type Sink struct {
	// Offer is called with wanted deliveries, one call after the other. It may block; it must
	// return when ctx ends. The slice is its own until the call after the next one begins.
	Offer func(ctx context.Context, ds []*delivery.Delivery)
	// Room is about how many deliveries Offer would take without waiting, as
	// broker.Receiving's AtOnce.
	Room func() int
	// Lost is called when an epoch of a part is over: what came in it has gone back.
	Lost func(part string, epoch uint64)
}

// Ready waits within ctx until what the subscription needs is declared on its broker.
func (in *Intake) Ready(ctx context.Context, sub *snapshot.Subscription) error {
	return in.opts.Brokers.Ready(ctx, sub.Broker, xds.SubscriptionResource(sub.Name))
}

// Pick chooses a node to consume the subscription from. It never blocks.
func (in *Intake) Pick(sub *snapshot.Subscription) (broker.Driver, error) {
	return in.opts.Brokers.PickConsumer(sub.Broker)
}

// Stranded reports whether a node of the subscription's broker is gone and another is up.
func (in *Intake) Stranded(driver broker.Driver, sub *snapshot.Subscription) bool {
	if driver.State().Consuming {
		return false
	}
	other, err := in.Pick(sub)
	return err == nil && other != driver && other.State().Consuming
}

// Changed returns a channel that is closed when Stranded may have another answer.
func (in *Intake) Changed() <-chan struct{} { return in.opts.Brokers.Changed() }

// AwaitStranded waits until the driver is stranded, or ctx ends. It returns false when ctx
// has ended.
func (in *Intake) AwaitStranded(ctx context.Context, driver broker.Driver, subscription func() *snapshot.Subscription) bool {
	for {
		changed := in.Changed() // before the look, which may come too early
		if in.Stranded(driver, subscription()) {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// Consume hands what the service is to see to sink until ctx ends. The contract is that of
// broker.Receiver, for all parts of the subscription together. kind is what takes
// deliveries, and the end of the consumer's tag. outstanding bounds the deliveries the
// service may have in its hands.
func (in *Intake) Consume(ctx context.Context, st *settler.Settler, kind string, outstanding uint32, sink Sink) (drain func(), err error) {
	sub, tag := st.Subscription(), in.opts.Workload+"."+st.Name().Name+kind
	if sub.Ordering == mesh.PerKey {
		return in.consumeOrdered(ctx, st, tag, outstanding, sink)
	}
	r := broker.Receiving{
		Subscription: sub.Subscription, Prefetch: int(outstanding), Tag: tag, Largest: sub.Largest, AtOnce: sink.Room,
		Lost: func(part string, epoch uint64) {
			st.Ended(part, epoch)
			sink.Lost(part, epoch)
		},
	}
	var rooms [2][]*delivery.Delivery // one may still be read while the other is filled
	return st.Driver().Receive(ctx, r, func(got []*broker.Delivery) {
		wanted := rooms[0][:0]
		for _, one := range got {
			if d := st.Received(one); st.Wanted(d) {
				wanted = append(wanted, d)
			}
		}
		if len(wanted) == 0 {
			return
		}
		sink.Offer(ctx, wanted)
		rooms[0], rooms[1] = rooms[1], wanted
		clear(rooms[0]) // nobody reads it any more
	})
}

// SameSource reports whether two forms of a subscription can share a consumer.
func SameSource(a, b *snapshot.Subscription) bool {
	return a.Queue == b.Queue && a.Broker == b.Broker && a.Exchange == b.Exchange && a.Topic == b.Topic &&
		a.Ordering == b.Ordering && a.Partitions == b.Partitions
}

// cutTimeout is how long a consumer may take to end once its time is up. Only a
// broker that does not answer makes it take long; then closing the broker's
// connection ends it.
const cutTimeout = time.Second

// End waits until those who take deliveries have ended. When ctx ends first it cuts them,
// and waits for a second at most.
func End(ctx context.Context, running *join.Group, cut func()) {
	if running.Wait(ctx) == nil {
		return
	}
	cut()
	ctx, cancel := context.WithTimeout(context.Background(), cutTimeout)
	defer cancel()
	_ = running.Wait(ctx) // what is left then waits for a broker that does not answer
}
