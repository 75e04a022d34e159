package deliver_test

import (
	"fmt"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/event"
)

func ExampleCompile() {
	name := mesh.Name{Namespace: "shop", Name: "billing"}
	compiled := deliver.Compile(&mesh.Config{Subscriptions: map[mesh.Name]*mesh.Subscription{name: {
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
