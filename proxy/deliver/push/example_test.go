package push_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/push"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/snapshot"
	"github.com/warrenmesh/warren/tracing"
)

// billing is a service that rejects every event.
type billing struct{ called chan struct{} }

// Ready implements push.Handler.
func (billing) Ready(context.Context) bool { return true }

// Handle implements push.Handler.
func (b billing) Handle(_ context.Context, h *delivery.Handed) push.Verdict {
	fmt.Println(h.Event.ID, "attempt", h.Attempt)
	close(b.called)
	return push.Verdict{Outcome: event.DeadLetter, Detail: "no such order"}
}

// Close implements push.Handler.
func (billing) Close() error { return nil }

// one has one node, which is always ready.
type one struct{ node *queueing.Node }

func (o one) Ready(context.Context, mesh.Name, string) error { return nil }
func (o one) PickConsumer(mesh.Name) (broker.Driver, error)  { return o.node, nil }
func (o one) Changed() <-chan struct{}                       { return nil } // there is no other node

// A Pusher follows the subscriptions that have a push port.
func ExamplePusher() {
	memory := membroker.New(membroker.Options{})
	defer memory.Close()
	node := queueing.NewNode(memory.Node(membroker.NodeOptions{}))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = node.Run(ctx) })
	defer running.Wait()
	defer cancel()

	sub := &mesh.Subscription{
		Name: mesh.Name{Namespace: "shop", Name: "billing"}, Topic: mesh.Name{Namespace: "shop", Name: "orders"},
		Exchange: mesh.Exchange{Name: "orders", Type: "topic"}, Queue: mesh.Queue{Name: "shop.billing", Prefetch: 8},
		AckDeadline: time.Minute, Attempts: 3, DeadLetterQueue: "shop.billing.dead", PushPort: 8080,
	}
	_ = node.Ensure(ctx, broker.Object{Subscription: sub, Policy: mesh.Manage})
	orders := &mesh.Destination{Topic: sub.Topic, Exchange: sub.Exchange}
	placed := []*broker.Message{{To: orders, Event: &event.Event{ID: "order-17", Source: "/checkout", Type: "placed"}}}
	node.Publish(ctx, placed, func(int, int, error) {})

	service := deliver.New(deliver.Options{
		Brokers: one{node}, Tracing: tracing.Disabled().Messaging(), Logger: slog.New(slog.DiscardHandler),
	})
	handler := billing{make(chan struct{})}
	pusher := deliver.NewPusher(service, push.Options{Dial: func(uint32) (push.Handler, error) { return handler, nil }})
	pusher.Apply(snapshot.Subscriptions(&mesh.Config{Subscriptions: map[mesh.Name]*mesh.Subscription{sub.Name: sub}}))
	<-handler.called
	pusher.Stop(ctx) // waits for the call and its outcome
	for _, d := range service.DeadLetters() {
		fmt.Println(d.Subscription, d.Reason, d.Count)
	}
	// Output:
	// order-17 attempt 1
	// shop/billing rejected 1
}
