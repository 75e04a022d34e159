package queueing_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
)

// A subscription's queues follow from its configuration.
func ExampleLayout() {
	s := billing()
	s.Backoff = mesh.Backoff{Base: time.Second, Max: 10 * time.Second}
	for _, q := range queueing.Layout(&s, mesh.Manage).Queues {
		fmt.Printf("%-26s after %s to %q\n", q.Name, q.Delay, q.Forward)
	}
	// Output:
	// shop.billing               after 0s to ""
	// shop.billing.dead          after 0s to ""
	// shop.billing.retry.1000ms  after 1s to "shop.billing"
	// shop.billing.retry.2000ms  after 2s to "shop.billing"
}

// A node carries a dead letter out: it is confirmed before its original is gone.
func ExampleNode() {
	memory := membroker.New(membroker.Options{})
	defer memory.Close()
	node := queueing.NewNode(memory.Node(membroker.NodeOptions{}))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = node.Run(ctx) })

	s := billing()
	_ = node.Ensure(ctx, broker.Object{Subscription: &s, Policy: mesh.Manage})
	orders := &mesh.Destination{Topic: s.Topic, Exchange: s.Exchange, Mandatory: true}
	placed := []*broker.Message{{To: orders, Event: &event.Event{ID: "order-17", Source: "/checkout", Type: "placed"}}}
	node.Publish(ctx, placed, func(_, _ int, err error) { fmt.Println("confirmed:", err) })

	received, receive := context.WithCancel(ctx)
	drain, _ := node.Receive(received, broker.Receiving{Subscription: &s, Prefetch: 1}, func(batch []*broker.Delivery) {
		d := batch[0]
		err := d.Settle(ctx, broker.Settlement{Subscription: &s, Bury: &broker.Bury{Reason: "rejected"}})
		fmt.Println(d.Event.ID, "buried:", err)
		receive()
	})
	drain()
	count, _ := node.CountLetters(ctx, &s)
	fmt.Println(count.Letters, "in", count.Place)
	cancel()
	running.Wait()
	// Output:
	// confirmed: <nil>
	// order-17 buried: <nil>
	// 1 in shop.billing.dead
}
