package deliver

import (
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/keys"
)

// delivery is what the broker gave, and the form of the subscription that it meets: filtered,
// handed out, tried again or given up by one configuration, whichever is in force by then.
// What waits in its place for another attempt meets the one that is in force when that
// begins.
type delivery struct {
	*broker.Delivery
	sub *Subscription
}

// Place implements keys.Delivery.
func (d *delivery) Place() keys.Place {
	return keys.Place{Part: d.Part, Epoch: d.Epoch, Tag: d.Tag}
}

// received begins the way of a delivery.
func (st *settler) received(d *broker.Delivery) *delivery {
	return &delivery{d, st.subscription.Load()}
}

// again is d as its next attempt.
func (st *settler) again(d *delivery) *delivery {
	next := *d.Delivery
	next.Attempt++
	return &delivery{&next, st.subscription.Load()}
}
