package snapshot_test

import (
	"fmt"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/snapshot"
)

func ExampleSubscriptions() {
	name := mesh.Name{Namespace: "shop", Name: "billing"}
	compiled := snapshot.Subscriptions(&mesh.Config{Subscriptions: map[mesh.Name]*mesh.Subscription{name: {
		Name:    name,
		Topic:   mesh.Name{Namespace: "shop", Name: "orders"},
		Filters: []mesh.Filter{{Op: mesh.Prefix, Attr: "type", Value: "com.shop.order."}},
	}}})
	billing := compiled[name]
	fmt.Println(billing.FullName, billing.TopicName)
	fmt.Println(billing.Filter.Matches(&event.Event{Type: "com.shop.order.placed"}))
	fmt.Println(billing.Filter.Matches(&event.Event{Type: "com.shop.invoice.sent"})) // acknowledged unseen
	// Output:
	// shop/billing shop/orders
	// true
	// false
}
