package deadletter_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/deadletter"
)

func ExampleService() {
	memory := membroker.New(membroker.Options{})
	defer memory.Close()
	r := &rig{driver: memory.Node(membroker.NodeOptions{}), subscriptions: map[mesh.Name]*mesh.Subscription{
		billing: {Name: billing, Queue: mesh.Queue{Name: "billing"}, DeadLetterQueue: dead},
	}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = r.driver.Run(ctx) })
	defer running.Wait()
	defer cancel()
	queues := []queueing.Queue{{Name: "billing"}, {Name: dead}}
	if err := r.driver.EnsureTopology(ctx, queueing.Topology{Policy: mesh.Manage, Queues: queues}); err != nil {
		panic(err)
	}
	r.driver.Publish(ctx, []queueing.Message{*letter("order-17", 0)}, func(_, _ int, err error) {
		if err != nil {
			panic(err)
		}
	})

	s := deadletter.New(deadletter.Options{Subscriptions: r, Brokers: r})
	defer s.Stop(ctx)
	q := deadletter.Query{Subscription: billing, Filter: deadletter.Filter{Types: []string{"com.shop.*"}}}
	report, err := s.List(ctx, q, func(d *broker.Delivery) error {
		fmt.Println(d.Event.ID, d.DeadLetter.Reason)
		return nil
	})
	fmt.Println("listed:", report.Matched, err)
	report, err = s.Redrive(ctx, q, deadletter.Redrive{PerSecond: 50}, nil)
	fmt.Println("redriven:", report.Done, err)
	// Output:
	// order-17 rejected
	// listed: 1 <nil>
	// redriven: 1 <nil>
}
