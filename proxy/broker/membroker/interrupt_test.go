package membroker_test

import (
	"context"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// TestACutGivesBackBeforeTheNextChannelTakes interrupts a consumer that holds the
// head of its queue, many times and on cores that are busy: its next channel must
// find the head there, not what lay behind it.
func TestACutGivesBackBeforeTheNextChannelTakes(t *testing.T) {
	t.Parallel()
	const rounds, held, all = 3000, 5, 8
	defer disturb()()
	mem := newBroker(t, membroker.Options{})
	node := start(t, mem, membroker.NodeOptions{})
	topology := queueing.Topology{Policy: mesh.Manage, Queues: []queueing.Queue{{Name: "q"}}}
	if err := node.EnsureTopology(t.Context(), topology); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	got := make(chan *queueing.Delivery, all)
	wg.Go(func() {
		drain, _ := node.Consume(ctx, queueing.ConsumeOptions{Queue: "q", Prefetch: held}, one.Each(func(d *queueing.Delivery) { got <- d }))
		drain()
	})
	for round := range rounds {
		for i := range all {
			publishThroughCut(t, node, strconv.Itoa(i))
		}
		for range held {
			<-got
		}
		node.broker.InterruptNode(node.Node)
		var again []string
		for range all {
			d := <-got
			again = append(again, d.Event.ID)
			if err := d.Ack(); err != nil {
				t.Fatalf("round %d: ack %s: %v", round, d.Event.ID, err)
			}
		}
		if !slices.IsSorted(again) {
			t.Fatalf("round %d: after the cut came %v", round, again)
		}
	}
}

// publishThroughCut publishes until the node, which may be coming back, confirms.
func publishThroughCut(t *testing.T, node testNode, id string) {
	t.Helper()
	for publish(t.Context(), node, message("", "q", id)) != nil {
		if t.Context().Err() != nil {
			t.Fatal("the node does not come back")
		}
	}
}

// disturb stops the world again and again until stop, as a busy machine stops single
// threads: whatever a goroutine is in the midst of, others wake beside it.
func disturb() (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				runtime.GC()
			}
		}
	})
	return func() { close(done); wg.Wait() }
}
