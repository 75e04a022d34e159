package deliver

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/keys"
)

const (
	maxReason     = 200 // bytes of a service's words that are kept
	settleTimeout = 5 * time.Second
	// restDelay is how long a delivery rests that cannot be settled. Given back at
	// once it would come back at once, for as long as the broker takes no publishes.
	restDelay = time.Second
	// maxHold bounds how long a delivery may be unsettled, ack deadline, extensions
	// and waiting for another attempt together: brokers take back what is held for longer,
	// and all the rest with it (RabbitMQ by its consumer_timeout, 30 minutes by default).
	maxHold = 25 * time.Minute
	// maxPark bounds how long a delivery waits unsettled for its next attempt.
	maxPark = 10 * time.Minute
)

// settler carries outcomes out on one broker node, for a stream or a pusher. It is
// safe for concurrent use.
type settler struct {
	// set before anything is consumed
	service *Service
	name    mesh.Name // of the subscription
	id      string    // unique in this process
	driver  broker.Driver
	life    context.Context //nolint:containedctx // outcomes not carried out when it ends are given up
	leaving <-chan struct{} // closed when nothing more is consumed
	order   *keys.Sequence  // of a subscription that is ordered by key; nil else

	// subscription is the form in force: of whatever begins now. It is replaced when the
	// configuration changes.
	subscription atomic.Pointer[Subscription]

	// troubled is set while outcomes cannot be carried out, and that was told.
	troubled atomic.Bool
}

// strandedBeside reports whether the settler's node is gone and another is up.
func (st *settler) strandedBeside(brokers Brokers) bool {
	if st.driver.State().Consuming {
		return false
	}
	other, err := brokers.PickConsumer(st.subscription.Load().Broker)
	return err == nil && other != st.driver && other.State().Consuming
}
