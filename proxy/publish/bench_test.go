package publish_test

import (
	"context"
	"fmt"
	"testing"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/tracing"
)

// Budget: 9 allocations an event, of which 3 are the context of its try. It has one
// context only: deadlines of caller and route are times until a try needs them.
func BenchmarkPublish(b *testing.B) {
	benchmark(b, mesh.Partitions{}, event(), 9)
}

// Budget: as without partitions.
func BenchmarkPublishWithoutKey(b *testing.B) {
	benchmark(b, mesh.Partitions{Count: 8, Key: "partitionkey"}, event(), 9)
}

// Budget: 2 allocations more than without a key: one for its attribute, one for the
// place in its line.
func BenchmarkPublishWithKey(b *testing.B) {
	benchmark(b, mesh.Partitions{Count: 8, Key: "partitionkey"}, keyed("customer-1234567", 1), 11)
}

// benchmark publishes e from one caller to a topic nothing is bound to: it measures
// the sidecar's own cost, not a queue's.
func benchmark(b *testing.B, p mesh.Partitions, e *eventsv1.CloudEvent, allocs float64) {
	s, ctx := newBench(b, p)
	req := &eventsv1.PublishRequest{Topic: "orders", Event: e}
	budget.Allocs(b, allocs)
	for b.Loop() {
		if _, err := s.Publish(ctx, req); err != nil {
			b.Fatal(err)
		}
	}
}

// Budget: 18 allocations an event, of which 11 are those of a unary call: each event of
// a key gets a goroutine, and one that waits for its turn a channel and a timer.
func BenchmarkPublishBatchOfOneKey(b *testing.B) {
	const size = 100
	s, ctx := newBench(b, mesh.Partitions{Count: 8, Key: "partitionkey"})
	req := &eventsv1.PublishBatchRequest{Topic: "orders"}
	for i := range size {
		req.Entries = append(req.Entries, &eventsv1.PublishBatchEntry{Event: keyed("customer-1234567", i)})
	}
	budget.Allocs(b, 18*size+40) // and the batch itself
	for b.Loop() {
		res, err := s.PublishBatch(ctx, req)
		if err != nil || res.GetResults()[size-1].GetResponse() == nil {
			b.Fatal(fmt.Errorf("%v: %w", res, err))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/event")
}

func newBench(b *testing.B, p mesh.Partitions) (*service, context.Context) {
	br := membroker.New(membroker.Options{MaxQueueLength: 1})
	b.Cleanup(br.Close)
	node := br.Node(membroker.NodeOptions{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- node.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	if err := node.EnsureTopology(ctx, queueing.Topology{Exchanges: []mesh.Exchange{{Name: "orders", Type: "topic"}}}); err != nil {
		b.Fatal(err)
	}
	d := destination()
	d.Mandatory, d.Partitions = false, p
	table := route.Compile(&mesh.Config{Topics: map[mesh.Name]*mesh.Topic{orders: {Name: orders, Rules: []mesh.Rule{{
		Backends: []mesh.Backend{{Destination: d, Weight: 1}},
	}}}}})
	topic, _ := table.Topic(orders)
	return enter(publish.Options{
		Namespace: "shop", Topics: topics{orders: topic}, Brokers: one{queueing.NewNode(node)}, Tracing: tracing.Disabled().Messaging(),
	}), ctx
}
