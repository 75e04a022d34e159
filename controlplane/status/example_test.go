package status_test

import (
	"context"
	"fmt"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/status"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server"
)

func ExampleState() {
	written := make(chan string)
	outbox := status.NewOutbox(status.OutboxOptions{Writer: status.WriterFunc(func(_ context.Context, o status.Object) error {
		c := o.Conditions[0]
		written <- fmt.Sprintf("%s: %s is %s, generation %d", o.Name, c.Type, c.Status, c.ObservedGeneration)
		return nil
	})})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- outbox.Run(ctx) }()

	state := status.New(status.Options{Sidecars: func() []server.Sidecar { return nil }, Outbox: outbox})
	topic := &v1alpha1.EventTopic{ObjectMeta: v1alpha1.ObjectMeta{Name: "orders", Namespace: "shop", Generation: 3}}
	state.Accept(&status.InForce{
		Version: "1", Objects: []declare.Object{{Value: topic}},
		Counters: map[v1alpha1.ObjectName]status.Counter{v1alpha1.NameOf(topic): server.NewGroup([][2]string{{xds.TypeRoute, "topic/shop/orders"}})},
	})
	snapshot := state.Observe()
	fmt.Println(snapshot.Version, len(snapshot.Objects))
	fmt.Println(<-written)

	cancel()
	fmt.Println(<-done)
	// Output:
	// 1 1
	// EventTopic shop/orders: Accepted is True, generation 3
	// <nil>
}
