package faulty_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
)

// During an alarm publishes are refused before anything is written.
func ExampleBroker_Alarm() {
	b := faulty.New(membroker.Options{})
	defer b.Close()
	node := b.Node(membroker.NodeOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = node.Run(ctx) })
	defer running.Wait()
	defer cancel()
	_ = node.EnsureTopology(ctx, queueing.Topology{Policy: mesh.Manage, Queues: []queueing.Queue{{Name: "billing"}}})

	publish := func() {
		placed := []queueing.Message{{RoutingKey: "billing", Event: &event.Event{ID: "17", Source: "/shop", Type: "placed"}}}
		node.Publish(ctx, placed, func(_, _ int, err error) {
			if err != nil {
				fmt.Println(broker.KindOf(err), broker.OutcomeOf(err))
				return
			}
			fmt.Println("confirmed")
		})
	}
	end := b.Alarm()
	publish()
	end()
	publish()
	// Output:
	// blocked not_sent
	// confirmed
}
