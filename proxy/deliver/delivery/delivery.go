// Package delivery is an event on its way to the service: what the broker gave, the form of
// the subscription that it meets, until when it lives, and what the service sees of it.
//
//	broker.Delivery ──▶ Delivery ──▶ Handed ──▶ the service
//
// It is a leaf: it receives nothing and settles nothing.
package delivery

import (
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/internal/keys"
	"github.com/warrenmesh/warren/proxy/snapshot"
)

// Delivery is what the broker gave, and the form of the subscription that it meets: filtered,
// handed out, tried again or given up by one configuration, whichever is in force by then.
// What waits in its place for another attempt meets the one that is in force when that
// begins.
type Delivery struct {
	*broker.Delivery
	Subscription *snapshot.Subscription
}

// Place implements keys.Delivery.
func (d *Delivery) Place() keys.Place {
	return keys.Place{Part: d.Part, Epoch: d.Epoch, Tag: d.Tag}
}
