package queueingtest

import (
	"strings"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// standby is how consumers of a queue with a single active one take turns, and what
// a queue says of itself.
var standby = []behaviour{
	{name: "one consumer at a time receives where one is active", needs: partitions, run: func(r *rig) {
		queue := r.single("q")
		one := r.consume(queue, 5)
		r.publishNumbered(queue, 1, 1)
		r.wantIDs(one.acked(1), ids(1, 1))
		two := r.consumeWith(r.join(), queue, 5)
		two.wantNone()
		r.publishNumbered(queue, 2, 20)
		r.wantIDs(one.acked(19), ids(2, 20))
		two.wantNone()
	}},
	{name: "the next consumer gets what the one before it did not settle, first and in order", needs: partitions, run: func(r *rig) {
		queue := r.single("q")
		r.publishNumbered(queue, 1, 12)
		one := r.consume(queue, 5)
		got := one.take(5)
		two := r.consume(queue, 20)
		two.wantNone()
		r.ack(got[0])
		r.wantIDs(idsOf(one.take(1)), ids(6, 6))
		one.end()
		again := two.take(11)
		r.wantIDs(idsOf(again), ids(2, 12))
		for i, d := range again {
			if d.Redelivered != (i < 5) {
				r.Fatalf("event %s is redelivered: %t", d.Event.ID, d.Redelivered)
			}
		}
	}},
	{name: "a consumer that stopped keeps its turn until its drain", needs: partitions, run: func(r *rig) {
		queue := r.single("q")
		r.publishNumbered(queue, 1, 10)
		one := r.consume(queue, 3)
		got := one.take(3)
		two := r.consume(queue, 20)
		one.stop()
		r.ack(got[0])
		r.ack(got[1])
		two.wantNone()
		one.drain()
		r.wantIDs(two.acked(8), ids(3, 10))
	}},
	{name: "when the active consumer's connection is lost the next gets what was unsettled, in order", needs: partitionsAndCut, run: func(r *rig) {
		queue := r.single("q")
		r.publishNumbered(queue, 1, 8)
		one := r.consume(queue, 5)
		old := one.take(5)
		two := r.consumeWith(r.join(), queue, 20)
		two.wantNone()
		r.interrupt()
		r.wantIDs(r.nextOf(one, two).acked(8), ids(1, 8))
		r.wantStale(old[0].Ack())
	}},
	{name: "a queue with and one without a single active consumer are a conflict", needs: partitions, run: func(r *rig) {
		single, shared := r.single("single"), r.queue("shared")
		for _, q := range []queueing.Queue{{Name: single, Type: r.queueType()}, {Name: shared, Type: r.queueType(), SingleActive: true}} {
			err := r.tryEnsure(queueing.Topology{Queues: []queueing.Queue{q}})
			r.wantKind(err, broker.Conflict)
			if !strings.Contains(err.Error(), q.Name) {
				r.Fatalf("the conflict does not name the queue: %v", err)
			}
		}
	}},
	{name: "Inspect counts what is ready and who consumes", run: func(r *rig) {
		queue := r.queue("q")
		r.awaitQueue(queue, queueing.QueueState{})
		r.publishNumbered(queue, 1, 7)
		r.awaitQueue(queue, queueing.QueueState{Messages: 7})
		in := r.consume(queue, 2)
		in.take(2)
		r.awaitQueue(queue, queueing.QueueState{Messages: 5, Consumers: 1})
		in.end()
		r.awaitQueue(queue, queueing.QueueState{Messages: 7})
	}},
	{name: "a queue that is missing is not found by Inspect, and others go on", run: func(r *rig) {
		queue := r.queue("q")
		in := r.consume(queue, 1)
		_, err := r.driver.Inspect(r.context(), r.name("missing"))
		r.wantKind(err, broker.NotFound)
		r.publish(toQueue(queue, "a"))
		r.wantIDs(in.acked(1), []string{"a"})
	}},
}

// single declares a queue with a single active consumer and returns its name.
func (r *rig) single(name string) string {
	r.Helper()
	name = r.name(name)
	r.ensure(queueing.Topology{Queues: []queueing.Queue{{Name: name, Type: r.queueType(), SingleActive: true}}})
	return name
}

// nextOf returns the consumer that is given something next: where a connection was
// lost it may be back before the one standing by has come.
func (r *rig) nextOf(one, two *inbox) *inbox {
	r.Helper()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	deadline := time.After(patience)
	for {
		select {
		case <-poll.C:
		case <-deadline:
			r.Fatalf("neither consumer got anything within %v", patience)
		}
		for _, in := range []*inbox{two, one} {
			if len(in.deliveries) > 0 {
				return in
			}
		}
	}
}

// awaitQueue polls a queue's state, which has no signal.
func (r *rig) awaitQueue(queue string, want queueing.QueueState) {
	r.Helper()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(patience)
	for {
		got, err := r.driver.Inspect(r.Context(), queue)
		if err != nil {
			r.Fatalf("inspect %s: %v", queue, err)
		}
		if got == want {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			r.Fatalf("waited %v for queue %s to be %+v; it is %+v", patience, queue, want, got)
		}
	}
}
