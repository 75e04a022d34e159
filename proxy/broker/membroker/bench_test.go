package membroker_test

import (
	"context"
	"sync"
	"testing"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// BenchmarkPublishConsume takes one event through a topic exchange and one queue:
// publish, confirm, deliver, ack. Budget: 5 µs on one core of a small machine.
func BenchmarkPublishConsume(b *testing.B) {
	b.ReportAllocs()
	mem := membroker.New(membroker.Options{MaxQueueLength: b.N + 1})
	defer mem.Close()
	node := mem.Node(membroker.NodeOptions{})
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = node.Run(ctx) })
	err := node.EnsureTopology(ctx, queueing.Topology{
		Policy:    mesh.Manage,
		Exchanges: []mesh.Exchange{{Name: "x", Type: "topic"}},
		Queues:    []queueing.Queue{{Name: "q"}},
		Bindings:  []queueing.Binding{{Exchange: "x", Queue: "q", Key: "com.shop.#"}},
	})
	if err != nil {
		b.Fatal(err)
	}
	left, all := b.N, make(chan struct{})
	wg.Go(func() {
		drain, _ := node.Consume(ctx, queueing.ConsumeOptions{Queue: "q", Prefetch: 64}, one.Each(func(d *queueing.Delivery) {
			if d.Ack() == nil {
				if left--; left == 0 {
					close(all)
				}
			}
		}))
		drain()
	})
	m := message("x", "com.shop.order.placed", "1")
	m.Event.Data = make([]byte, 512)
	b.ResetTimer()
	for range b.N {
		if err := publish(ctx, node, m); err != nil {
			b.Fatal(err)
		}
	}
	<-all
}
