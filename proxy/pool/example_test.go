package pool_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/pool"
)

func ExamplePool_Claim() {
	memory := membroker.New(membroker.Options{})
	defer memory.Close()
	p := pool.New(pool.Options{
		NewDriver: func(*mesh.Broker, mesh.Node) (broker.Driver, error) {
			return queueing.NewNode(memory.Node(membroker.NodeOptions{})), nil
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	ctx := context.Background()
	p.Start(ctx)
	name := mesh.Name{Namespace: "shop", Name: "main"}
	orders := &mesh.Destination{Exchange: mesh.Exchange{Name: "orders", Type: "topic"}}
	err := p.Apply(map[mesh.Name]*mesh.Broker{name: {Name: name, Type: mesh.Memory}}, map[mesh.Name][]pool.Declaration{
		name: {{Key: "orders", Object: broker.Object{Topic: orders, Policy: mesh.Manage}}},
	})
	fmt.Println("apply:", err)

	node, err := p.Claim(ctx, name, "orders", nil) // waits until the topic exists
	fmt.Println("claim:", err)
	placed := []*broker.Message{{To: orders, Event: &event.Event{ID: "17", Source: "/shop", Type: "t"}}}
	node.Publish(ctx, placed, func(_, _ int, err error) {
		node.Answered(err)
		fmt.Println("confirm:", err)
	})
	fmt.Println("stop:", p.Stop(ctx))
	// Output:
	// apply: <nil>
	// claim: <nil>
	// confirm: <nil>
	// stop: <nil>
}
