package deliver_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/deliver/session"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/snapshot"
	"github.com/warrenmesh/warren/tracing"
)

// client acknowledges the first event it gets, and ends its stream.
type client struct {
	ctx  context.Context
	says chan session.Request
}

// Context implements session.Stream.
func (c *client) Context() context.Context { return c.ctx }

// Receive implements session.Stream.
func (c *client) Receive() (session.Request, error) {
	r, ok := <-c.says
	if !ok {
		return nil, io.EOF
	}
	return r, nil
}

// Send implements session.Stream.
func (c *client) Send(r session.Response) error {
	for _, h := range r.Deliveries {
		fmt.Println(h.Event.ID, "attempt", h.Attempt)
		c.says <- session.Settlements{{Token: h.Token, Outcome: event.Ack}}
	}
	for _, s := range r.Settled {
		fmt.Println("settled:", s.Err)
		close(c.says)
	}
	return nil
}

// A service's stream, from its first message to its end.
func ExampleService_Subscribe() {
	memory := membroker.New(membroker.Options{})
	defer memory.Close()
	brokers := only(memory.Node(membroker.NodeOptions{}))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = brokers.node.Run(ctx) })
	defer running.Wait()
	defer cancel()

	sub := subscription()
	_ = brokers.node.Ensure(ctx, broker.Object{Subscription: &sub, Policy: mesh.Manage})
	orders := &mesh.Destination{Topic: sub.Topic, Exchange: sub.Exchange}
	placed := []*broker.Message{{To: orders, Event: &event.Event{ID: "order-17", Source: "/checkout", Type: "placed"}}}
	brokers.node.Publish(ctx, placed, func(int, int, error) {})

	declared := &config{subs: snapshot.Subscriptions(&mesh.Config{Subscriptions: map[mesh.Name]*mesh.Subscription{sub.Name: &sub}})}
	service := deliver.New(deliver.Options{
		Namespace: "shop", Subscriptions: declared, Brokers: brokers,
		Tracing: tracing.Disabled().Messaging(), Logger: slog.New(slog.DiscardHandler),
	})
	c := &client{ctx, make(chan session.Request, 1)}
	c.says <- session.Init{Subscription: "billing", Credit: 1, Results: true}
	fmt.Println("ended:", service.Subscribe(c))
	// Output:
	// order-17 attempt 1
	// settled: <nil>
	// ended: <nil>
}
