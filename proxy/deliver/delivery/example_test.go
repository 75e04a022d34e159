package delivery_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/snapshot"
)

var billing = &snapshot.Subscription{
	Subscription: &mesh.Subscription{MaxDecoded: 1 << 20}, FullName: "shop/billing", TopicName: "shop/orders",
}

// The service sees the data decoded; what the broker gave keeps its bytes.
func ExampleDelivery_Handed() {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(`{"total": 42}`))
	_ = w.Close()

	placed := &event.Event{ID: "order-17", Source: "/checkout", Type: "placed", Data: packed.Bytes()}
	d := &delivery.Delivery{
		Delivery:     &broker.Delivery{Event: placed, ContentEncoding: "gzip", Attempt: 2},
		Subscription: billing,
	}
	h, err := d.Handed()
	fmt.Printf("%s of %s: %s, %v\n", h.Event.ID, h.Topic, h.Event.Data, err)
	fmt.Println("attempt", h.Attempt, "redelivered", h.Redelivered)
	fmt.Println("the broker's is still", d.ContentEncoding, bytes.Equal(d.Event.Data, packed.Bytes()))
	// Output:
	// order-17 of shop/orders: {"total": 42}, <nil>
	// attempt 2 redelivered true
	// the broker's is still gzip true
}

// The life of an event ends by its expirytime or its TTL, whichever comes first.
func ExampleDelivery_Expired() {
	placed := &event.Event{ID: "order-17", Source: "/checkout", Type: "placed"}
	placed.Set(event.AttrExpiryTime, event.Timestamp(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)))
	d := &delivery.Delivery{Delivery: &broker.Delivery{Event: placed, Lifetime: time.Hour}, Subscription: billing}
	d.BeginLife()
	fmt.Println(d.Expired(), d.ExpiryText())
	// Output:
	// true its life ended at 2020-01-01T00:00:00Z
}
