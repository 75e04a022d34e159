package membroker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
)

func message(exchange, key, id string) *queueing.Message {
	e := &event.Event{ID: id, Source: "/test", Type: "io.warrenmesh.test", Data: []byte(id)}
	return &queueing.Message{Exchange: exchange, RoutingKey: key, Event: e, Mandatory: true}
}

func publish(ctx context.Context, d queueing.Publisher, m *queueing.Message) error {
	receipt, err := one.Publish(ctx, d.Publish, *m)
	if err != nil {
		return err
	}
	return receipt.Wait(ctx)
}

func mustPublish(t *testing.T, d queueing.Publisher, m *queueing.Message) {
	t.Helper()
	if err := publish(t.Context(), d, m); err != nil {
		t.Fatalf("publish %s: %v", m.Event.ID, err)
	}
}

func mustEnsure(t *testing.T, d queueing.Driver, topology queueing.Topology) {
	t.Helper()
	if err := d.EnsureTopology(t.Context(), topology); err != nil {
		t.Fatalf("ensure topology: %v", err)
	}
}

func wantError(t *testing.T, err error, kind broker.Kind, outcome broker.Outcome) {
	t.Helper()
	if broker.KindOf(err) != kind || broker.OutcomeOf(err) != outcome {
		t.Fatalf("error is %v (%v, %v), want %v, %v", err, broker.KindOf(err), broker.OutcomeOf(err), kind, outcome)
	}
}

func fanout(queues ...string) queueing.Topology {
	t := queueing.Topology{Policy: mesh.Manage, Exchanges: []mesh.Exchange{{Name: "x", Type: "fanout"}}}
	for _, queue := range queues {
		t.Queues = append(t.Queues, queueing.Queue{Name: queue})
		t.Bindings = append(t.Bindings, queueing.Binding{Exchange: "x", Queue: queue})
	}
	return t
}

func TestBeforeRunNothingIsSent(t *testing.T) {
	t.Parallel()
	node := newBroker(t, membroker.Options{}).Node(membroker.NodeOptions{})
	wantError(t, publish(t.Context(), node, message("", "q", "1")), broker.Unavailable, broker.NotSent)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, node.EnsureTopology(ctx, fanout("q")), broker.Unavailable, broker.NotSent)
	if drain, err := node.Consume(ctx, queueing.ConsumeOptions{Queue: "q", Prefetch: 1}, nil); err != nil {
		t.Errorf("consume until the context ends: %v", err)
	} else {
		drain()
	}
	if s := node.State(); s.Publishing || s.Consuming || s.Reason == "" {
		t.Errorf("state is %+v", s)
	}
}

func TestRunIsCalledOnce(t *testing.T) {
	t.Parallel()
	node := start(t, newBroker(t, membroker.Options{}), membroker.NodeOptions{})
	mustEnsure(t, node, fanout("q")) // it runs
	if err := node.Run(t.Context()); err == nil {
		t.Error("a second Run did not fail")
	}
}

func TestFullQueueNacksAndTheOthersKeepTheirCopy(t *testing.T) {
	t.Parallel()
	b := newBroker(t, membroker.Options{MaxQueueLength: 2})
	node := start(t, b, membroker.NodeOptions{})
	mustEnsure(t, node, fanout("free", "full"))
	mustPublish(t, node, message("", "full", "1"))
	mustPublish(t, node, message("", "full", "2"))
	err := publish(t.Context(), node, message("x", "", "3"))
	wantError(t, err, broker.Nacked, broker.Unknown)
	if !strings.Contains(err.Error(), `"full"`) {
		t.Errorf("the nack does not name the queue: %v", err)
	}
	if got := b.Peek("free", 9); len(got) != 1 || got[0].Event.ID != "3" {
		t.Errorf("the free queue has %d messages", len(got))
	}
	if ready, _ := b.Len("full"); ready != 2 {
		t.Errorf("the full queue has %d messages", ready)
	}
}

func TestQueueIsFullWhileDeliveriesAreUnsettled(t *testing.T) {
	t.Parallel()
	b := newBroker(t, membroker.Options{MaxQueueBytes: 3})
	node := start(t, b, membroker.NodeOptions{})
	mustEnsure(t, node, fanout("q"))
	mustPublish(t, node, message("", "q", "abc"))
	in, stop := consume(t, node, "q", 1)
	defer stop()
	d := <-in
	wantError(t, publish(t.Context(), node, message("", "q", "d")), broker.Nacked, broker.Unknown)
	if ready, unsettled := b.Len("q"); ready != 0 || unsettled != 1 {
		t.Errorf("%d ready and %d unsettled", ready, unsettled)
	}
	if err := d.Ack(); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, node, message("", "q", "d"))
}

// consume passes on deliveries until stop, which drains.
func consume(t *testing.T, d queueing.Driver, queue string, prefetch int) (in <-chan *queueing.Delivery, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	deliveries := make(chan *queueing.Delivery, 1024)
	var wg sync.WaitGroup
	wg.Go(func() {
		drain, err := d.Consume(ctx, queueing.ConsumeOptions{Queue: queue, Prefetch: prefetch}, one.Each(func(d *queueing.Delivery) { deliveries <- d }))
		if err != nil {
			t.Errorf("consume: %v", err)
		}
		drain()
	})
	return deliveries, func() { cancel(); wg.Wait() }
}

func TestAlarmBlocksPublishersOnly(t *testing.T) {
	t.Parallel()
	b := newBroker(t, membroker.Options{})
	node := start(t, b, membroker.NodeOptions{})
	mustEnsure(t, node, fanout("q"))
	mustPublish(t, node, message("", "q", "1"))
	end := b.Alarm()
	wantError(t, publish(t.Context(), node, message("", "q", "2")), broker.Blocked, broker.NotSent)
	if s := node.State(); s.Publishing || !s.Consuming || !s.Blocked || s.Reason == "" {
		t.Errorf("state under the alarm is %+v", s)
	}
	in, stop := consume(t, node, "q", 1)
	defer stop()
	if err := (<-in).Ack(); err != nil {
		t.Errorf("ack under the alarm: %v", err)
	}
	end()
	end()
	mustPublish(t, node, message("", "q", "3"))
}

func TestOutageLastsUntilItsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := faulty.New(membroker.Options{})
		node := start(t, b, membroker.NodeOptions{})
		mustEnsure(t, node, fanout("q"))
		in, stop := consume(t, node, "q", 1)
		first, second := b.Outage(), b.Outage()
		synctest.Wait()
		wantError(t, publish(t.Context(), node, message("", "q", "1")), broker.Unavailable, broker.NotSent)
		first()
		first()
		synctest.Wait()
		wantError(t, publish(t.Context(), node, message("", "q", "1")), broker.Unavailable, broker.NotSent)
		second()
		synctest.Wait()
		mustPublish(t, node, message("", "q", "2"))
		if d := <-in; d.Event.ID != "2" {
			t.Errorf("delivered %s after the outage", d.Event.ID)
		}
		stop()
		b.Close()
	})
}

func TestChangesOfStateAreTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := faulty.New(membroker.Options{})
		told := make(chan struct{}, 100)
		node := b.Node(membroker.NodeOptions{OnState: func() { told <- struct{}{} }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- node.Run(ctx) }()
		await := func(what string, holds func(broker.State) bool) {
			for !holds(node.State()) {
				select {
				case <-told:
				case <-time.After(time.Minute):
					t.Fatalf("nobody told that the node is %s", what)
				}
			}
		}
		await("up", func(s broker.State) bool { return s.Consuming })
		end := b.Outage()
		await("down", func(s broker.State) bool { return !s.Consuming })
		end()
		await("up again", func(s broker.State) bool { return s.Publishing })
		calm := b.Alarm()
		await("blocked", func(s broker.State) bool { return s.Blocked })
		calm()
		await("blocked no more", func(s broker.State) bool { return !s.Blocked })
		cancel()
		await("stopped", func(s broker.State) bool { return !s.Consuming })
		<-done
		b.Close()
	})
}

func TestSecondHoldEndsTheFirst(t *testing.T) {
	t.Parallel()
	b := newBroker(t, membroker.Options{})
	node := start(t, b, membroker.NodeOptions{Window: 1})
	mustEnsure(t, node, fanout("q"))
	release := b.HoldConfirms()
	held, err := one.Publish(t.Context(), node.Publish, *message("", "q", "1"))
	if err != nil {
		t.Fatal(err)
	}
	releaseSecond := b.HoldConfirms()
	defer releaseSecond()
	if err := held.Wait(t.Context()); err != nil {
		t.Errorf("confirm of the first hold: %v", err)
	}
	release() // of a hold that is over
	heldAgain, err := one.Publish(t.Context(), node.Publish, *message("", "q", "2"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(t, heldAgain.Wait(ctx), broker.ConfirmTimeout, broker.Unknown)
}

func TestDelayQueueKeepsWhatCannotBeForwarded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := faulty.New(membroker.Options{MaxQueueLength: 2})
		node := start(t, b, membroker.NodeOptions{})
		topology := fanout("target")
		topology.Queues = append(topology.Queues, queueing.Queue{Name: "delay", Delay: time.Minute, Forward: "target"})
		mustEnsure(t, node, topology)
		mustPublish(t, node, message("", "target", "there"))
		mustPublish(t, node, message("", "delay", "1"))
		<-time.After(30 * time.Second) // of the bubble
		mustPublish(t, node, message("", "delay", "2"))
		wantLen := func(delay, target int) {
			t.Helper()
			synctest.Wait()
			inDelay, _ := b.Len("delay")
			inTarget, _ := b.Len("target")
			if inDelay != delay || inTarget != target {
				t.Errorf("%d wait and %d are forwarded, want %d and %d", inDelay, inTarget, delay, target)
			}
		}
		wantLen(2, 1)
		<-time.After(31 * time.Second)
		wantLen(1, 2)
		<-time.After(time.Minute)
		wantLen(1, 2) // the target is full
		in, stop := consume(t, node, "target", 10)
		for _, id := range []string{"there", "1", "2"} {
			d := <-in
			if d.Event.ID != id || d.Attempt != 1 {
				t.Errorf("delivered %s, attempt %d, want %s", d.Event.ID, d.Attempt, id)
			}
			if err := d.Ack(); err != nil {
				t.Error(err)
			}
		}
		wantLen(0, 0)
		stop()
		mustPublish(t, node, message("", "delay", "dropped with the broker"))
		b.Close()
	})
}

func TestDelayQueueIsNotConsumed(t *testing.T) {
	t.Parallel()
	node := start(t, newBroker(t, membroker.Options{}), membroker.NodeOptions{})
	topology := fanout("target")
	topology.Queues = append(topology.Queues, queueing.Queue{Name: "delay", Delay: time.Minute, Forward: "target"})
	mustEnsure(t, node, topology)
	_, err := node.Consume(t.Context(), queueing.ConsumeOptions{Queue: "delay", Prefetch: 1}, nil)
	wantError(t, err, broker.Refused, broker.NotSent)
	topology.Queues[1].Delay = time.Hour
	err = node.EnsureTopology(t.Context(), topology)
	if broker.KindOf(err) != broker.Conflict || !strings.Contains(err.Error(), "1m0s") || !strings.Contains(err.Error(), "1h0m0s") {
		t.Errorf("another delay says %v, want a conflict naming both", err)
	}
}

func TestTopologyReportsAllProblemsAndDeclaresNothing(t *testing.T) {
	t.Parallel()
	node := start(t, newBroker(t, membroker.Options{}), membroker.NodeOptions{})
	err := node.EnsureTopology(t.Context(), queueing.Topology{
		Policy:    mesh.Manage,
		Exchanges: []mesh.Exchange{{Name: "good", Type: "topic"}, {Name: "bad", Type: "headers"}},
		Queues:    []queueing.Queue{{Name: ""}, {Name: "delay", Delay: time.Second}},
		Bindings:  []queueing.Binding{{Exchange: "good", Queue: "missing"}},
	})
	for _, part := range []string{`"headers"`, "needs a name", "forward", `"missing"`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error lacks %q: %v", part, err)
		}
	}
	wantError(t, publish(t.Context(), node, message("good", "k", "1")), broker.NotFound, broker.NotSent)
}

// TestNothingIsLostUnderLoad has publishers and consumers work through
// interruptions, as a mesh would: unknown publishes are repeated, a share of the
// deliveries is requeued, stale settlements are ignored.
func TestNothingIsLostUnderLoad(t *testing.T) {
	t.Parallel()
	const publishers, each, consumers, cuts = 4, 2000, 3, 20
	b := newBroker(t, membroker.Options{})
	topology := fanout("one", "two")
	mustEnsure(t, start(t, b, membroker.NodeOptions{}), topology)

	got := map[string]*seen{"one": newSeen(publishers * each), "two": newSeen(publishers * each)}
	ctx, cancel := context.WithCancel(t.Context())
	var consuming sync.WaitGroup
	for queue, s := range got {
		for c := range consumers {
			node := start(t, b, membroker.NodeOptions{})
			consuming.Go(func() { s.consume(t, ctx, node, queue, 1+7*c) })
		}
	}
	var publishing sync.WaitGroup
	for p := range publishers {
		node := start(t, b, membroker.NodeOptions{})
		publishing.Go(func() {
			for i := range each {
				publishSurely(t, node, fmt.Sprintf("%d-%d", p, i))
			}
		})
	}
	for range cuts {
		select {
		case <-time.After(2 * time.Millisecond):
		case <-ctx.Done():
		}
		b.Interrupt()
	}
	publishing.Wait()
	for queue, s := range got {
		select {
		case <-s.complete:
		case <-time.After(time.Minute):
			t.Errorf("queue %s: %d of %d events arrived", queue, s.len(), publishers*each)
		}
	}
	cancel()
	consuming.Wait()
}

// publishSurely repeats what is not confirmed.
func publishSurely(t *testing.T, node queueing.Driver, id string) {
	for t.Context().Err() == nil {
		err := publish(t.Context(), node, message("x", "", id))
		switch broker.KindOf(err) {
		case broker.Closed, broker.Unavailable:
			continue
		default:
			if err != nil {
				t.Errorf("publish %s: %v", id, err)
			}
			return
		}
	}
}

// seen is the set of events that were acked.
type seen struct {
	complete chan struct{} // closed when want are there
	mu       sync.Mutex
	want     int
	ids      map[string]bool
}

func newSeen(want int) *seen {
	return &seen{complete: make(chan struct{}), want: want, ids: map[string]bool{}}
}

func (s *seen) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ids)
}

func (s *seen) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids[id] {
		return
	}
	if s.ids[id] = true; len(s.ids) == s.want {
		close(s.complete)
	}
}

func (s *seen) consume(t *testing.T, ctx context.Context, node queueing.Driver, queue string, prefetch int) {
	count := 0
	drain, err := node.Consume(ctx, queueing.ConsumeOptions{Queue: queue, Prefetch: prefetch}, one.Each(func(d *queueing.Delivery) {
		if count++; count%10 == 0 && d.Attempt < 3 {
			_ = d.Requeue() // stale when it was cut
			return
		}
		if err := d.Ack(); err == nil {
			s.add(d.Event.ID)
		} else if !errors.Is(err, broker.ErrStale) {
			t.Errorf("ack: %v", err)
		}
	}))
	if err != nil {
		t.Errorf("consume from %s: %v", queue, err)
	}
	drain()
}
