package publish_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	cloudevent "github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/tracing"
)

func ExampleService_Publish() {
	memory := membroker.New(membroker.Options{})
	defer memory.Close()
	node := memory.Node(membroker.NodeOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = node.Run(ctx) })
	defer running.Wait()
	defer cancel()
	err := node.EnsureTopology(ctx, queueing.Topology{
		Policy:    mesh.Manage,
		Exchanges: []mesh.Exchange{{Name: "orders", Type: "topic"}},
		Queues:    []queueing.Queue{{Name: "billing"}},
		Bindings:  []queueing.Binding{{Exchange: "orders", Queue: "billing", Key: "com.shop.#"}},
	})
	if err != nil {
		panic(err)
	}
	topic, _ := route.Compile(&mesh.Config{Topics: map[mesh.Name]*mesh.Topic{orders: {Name: orders, Rules: []mesh.Rule{{
		Retry: mesh.Retry{Attempts: 1},
		Backends: []mesh.Backend{{Weight: 1, Destination: mesh.Destination{
			Topic: orders, Exchange: mesh.Exchange{Name: "orders", Type: "topic"}, RoutingKey: "{type}",
			Mandatory: true, ConfirmTimeout: 2 * time.Second, MaxEventBytes: 1000,
		}}},
	}}}}}).Topic(orders)

	service := publish.New(publish.Options{
		Namespace: "shop", Topics: topics{orders: topic}, Brokers: one{queueing.NewNode(node)}, Tracing: tracing.Disabled().Messaging(),
	})
	receipt, err := service.Publish(ctx, "orders", &publish.Submission{
		Event: &cloudevent.Event{ID: "17", Source: "/checkout", Type: "com.shop.order.placed"},
	})
	fmt.Println(receipt.EventID, receipt.Topic, receipt.Attempts, err)

	_, err = service.Publish(ctx, "orders", &publish.Submission{
		Event: &cloudevent.Event{ID: "18", Source: "/checkout", Type: "org.other"}, // no queue takes it
	})
	fmt.Println(refusal.Reason(err), refusal.Of(err).Outcome)
	// Output:
	// 17 shop/orders 1 <nil>
	// UNROUTABLE failed
}
