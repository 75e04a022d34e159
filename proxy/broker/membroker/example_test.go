package membroker_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
)

func Example() {
	b := membroker.New(membroker.Options{})
	defer b.Close()
	node := b.Node(membroker.NodeOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = node.Run(ctx) })
	defer wg.Wait()
	defer cancel()

	err := node.EnsureTopology(ctx, queueing.Topology{
		Policy:    mesh.Manage,
		Exchanges: []mesh.Exchange{{Name: "orders", Type: "topic"}},
		Queues:    []queueing.Queue{{Name: "orders.billing"}},
		Bindings:  []queueing.Binding{{Exchange: "orders", Queue: "orders.billing", Key: "com.shop.order.#"}},
	})
	fmt.Println("topology:", err)

	node.Publish(ctx, []queueing.Message{{
		Exchange: "orders", RoutingKey: "com.shop.order.placed", Mandatory: true,
		Event: &event.Event{ID: "17", Source: "/shop", Type: "com.shop.order.placed"},
	}}, func(_, _ int, err error) { fmt.Println("confirm:", err) })

	consuming, stop := context.WithCancel(ctx)
	drain, err := node.Consume(consuming, queueing.ConsumeOptions{Queue: "orders.billing", Prefetch: 10}, func(batch []*queueing.Delivery) {
		d := batch[0]
		fmt.Println("delivery:", d.Event.ID, "attempt", d.Attempt, "ack:", d.Ack())
		stop()
	})
	drain()
	fmt.Println("consume:", err)
	// Output:
	// topology: <nil>
	// confirm: <nil>
	// delivery: 17 attempt 1 ack: <nil>
	// consume: <nil>
}
