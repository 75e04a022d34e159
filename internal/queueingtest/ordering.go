package queueingtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// partitioning is how a topic's events are split between queues.
var partitioning = []behaviour{
	{name: "an event of a partition goes to the queue of that partition alone, in order", needs: partitions, run: func(r *rig) {
		const each = 50
		exchange, queues := r.partitioned("x", "topic", 3)
		var messages []*queueing.Message
		for i, id := range ids(0, 3*each-1) {
			messages = append(messages, ofPartition(exchange, uint32(i%3), id))
		}
		r.publishAll(messages...)
		for p, queue := range queues {
			in := r.consume(queue, 10)
			for i := range each {
				d := in.next()
				if d.Event.ID != numbered(3*i+p) || !d.Partitioned || d.Partition != uint32(p) || d.Origin.Name != exchange {
					r.Fatalf("delivery %d of partition %d is %s of partition %d, exchange %q", i, p, d.Event.ID, d.Partition, d.Origin.Name)
				}
				r.ack(d)
			}
			in.wantNone()
		}
	}},
	{name: "an event without a partition, or of one that is not there, goes to the first queue", needs: partitions, run: func(r *rig) {
		exchange, queues := r.partitioned("x", "topic", 3)
		none := ofPartition(exchange, 0, "none")
		none.Partitioned = false
		r.publishAll(none, ofPartition(exchange, 3, "next"), ofPartition(exchange, 1<<32-1, "last"))
		r.wantIDs(r.consume(queues[0], 5).acked(3), []string{"none", "next", "last"})
		r.consume(queues[1], 5).wantNone()
	}},
	{name: "a partitioner that has moved gets nothing of its old exchange", needs: partitions, run: func(r *rig) {
		old, queues := r.partitioned("x", "topic", 2)
		moved, _ := r.exchange("moved", "topic")
		p := queueing.Partitioner{Name: r.name("x") + ".p", Exchange: old, Queues: queues}
		at := p
		at.Exchange = moved
		r.ensure(queueing.Topology{Partitioners: []queueing.Partitioner{at}})
		for range 2 {
			r.ensure(queueing.Topology{GonePartitioners: []queueing.Partitioner{p}})
		}
		r.wantKind(r.tryPublish(ofPartition(old, 1, "old")), broker.Unroutable, broker.Failed)
		r.publish(ofPartition(moved, 1, "new"))
		r.wantIDs(r.consume(queues[1], 5).acked(1), []string{"new"})
	}},
	{name: "a fanout exchange is partitioned as well", needs: partitions, run: func(r *rig) {
		exchange, queues := r.partitioned("x", "fanout", 2)
		r.publish(ofPartition(exchange, 1, "a"))
		r.wantIDs(r.consume(queues[1], 5).acked(1), []string{"a"})
		r.consume(queues[0], 5).wantNone()
	}},
	{name: "every partitioner and every queue of an exchange gets its own copy", needs: partitions, run: func(r *rig) {
		exchange, one := r.partitioned("x", "topic", 2)
		t, two := r.partitioner("other", exchange, 3)
		t.Queues = append(t.Queues, queueing.Queue{Name: r.name("whole"), Type: r.queueType()})
		t.Bindings = append(t.Bindings, queueing.Binding{Exchange: exchange, Queue: r.name("whole"), Key: "#"})
		r.ensure(t)
		r.publishAll(ofPartition(exchange, 1, "a"), ofPartition(exchange, 2, "b"))
		for queue, want := range map[string][]string{
			one[1]: {"a"}, one[0]: {"b"}, two[1]: {"a"}, two[2]: {"b"}, r.name("whole"): {"a", "b"},
		} {
			got := r.consume(queue, 5).acked(len(want))
			slices.Sort(got) // a and b are of two partitions, whose order among each other nobody promises
			r.wantIDs(got, want)
		}
	}},
	{name: "a mandatory publish is unroutable when no queue of its partitioner is left", needs: func(h *Harness) bool { return partitions(h) && h.Delete != nil }, run: func(r *rig) {
		exchange, queues := r.partitioned("x", "topic", 2)
		r.publish(ofPartition(exchange, 1, "a"))
		var gone queueing.Topology
		for _, queue := range queues {
			gone.Queues = append(gone.Queues, queueing.Queue{Name: queue})
		}
		r.harness.Delete(r.T, r.driver, gone)
		r.wantKind(r.tryPublish(ofPartition(exchange, 1, "b")), broker.Unroutable, broker.Failed)
		m := ofPartition(exchange, 0, "c")
		m.Partitioned = false
		r.wantKind(r.tryPublish(m), broker.Unroutable, broker.Failed)
	}},
	{name: "partitions can be declared again, and are after a reconnect", needs: partitionsAndCut, run: func(r *rig) {
		t, queues := r.partitioner("p", r.name("x"), 2)
		t.Exchanges = []mesh.Exchange{{Name: r.name("x"), Type: "topic"}}
		r.ensure(t)
		r.ensure(t)
		if r.harness.Delete != nil {
			r.harness.Delete(r.T, r.driver, t)
		}
		r.interrupt()
		r.publishAgain(ofPartition(r.name("x"), 1, "a"))
		r.wantIDs(r.consume(queues[1], 1).acked(1), []string{"a"})
	}},
	{name: "a partitioner with the name of an exchange is a conflict that names both", needs: partitions, run: func(r *rig) {
		exchange, queues := r.exchange("x", "topic", "#")
		t := queueing.Topology{Partitioners: []queueing.Partitioner{{Name: exchange, Exchange: exchange, Queues: queues}}}
		r.wantConflict(r.tryEnsure(t), exchange, "topic", "headers")
	}},
	{name: "a partitioner without queues is invalid", needs: partitions, run: func(r *rig) {
		exchange, _ := r.exchange("x", "topic")
		t := queueing.Topology{Partitioners: []queueing.Partitioner{{Name: r.name("p"), Exchange: exchange}}}
		r.wantKind(r.tryEnsure(t), broker.Invalid)
	}},
	{name: "a partitioner of a missing exchange is not found", needs: partitions, run: func(r *rig) {
		t, _ := r.partitioner("p", r.name("missing"), 1)
		r.wantKind(r.tryEnsure(t), broker.NotFound)
	}},
	{name: "Verify passes a partitioner that exists and names one that is missing", needs: partitions, run: func(r *rig) {
		exchange, _ := r.partitioned("x", "topic", 2)
		t, _ := r.partitioner("x", exchange, 2)
		t.Policy = mesh.Verify
		r.ensure(t)
		t.Partitioners = append(t.Partitioners, queueing.Partitioner{Name: r.name("no-partitioner"), Exchange: exchange, Queues: []string{t.Queues[0].Name}})
		for range 2 { // the first try must not have declared it
			err := r.tryEnsure(t)
			r.wantKind(err, broker.NotFound)
			if !strings.Contains(err.Error(), r.name("no-partitioner")) {
				r.Fatalf("the error does not name the partitioner: %v", err)
			}
		}
	}},
}

func partitions(h *Harness) bool { return h.Caps.Partitions }

func partitionsAndCut(h *Harness) bool { return partitions(h) && h.Interrupt != nil }

// partitioned declares an exchange that a partitioner of the same name, followed by
// ".p", splits into n queues, and returns their names.
func (r *rig) partitioned(name, kind string, n int) (exchange string, queues []string) {
	r.Helper()
	exchange = r.name(name)
	t, queues := r.partitioner(name, exchange, n)
	t.Exchanges = []mesh.Exchange{{Name: exchange, Type: kind}}
	r.ensure(t)
	return exchange, queues
}

// partitioner describes a partitioner of an exchange into n queues.
func (r *rig) partitioner(name, exchange string, n int) (t queueing.Topology, queues []string) {
	p := queueing.Partitioner{Name: r.name(name) + ".p", Exchange: exchange}
	for i := range n {
		queue := fmt.Sprintf("%s.%d", p.Name, i)
		p.Queues = append(p.Queues, queue)
		t.Queues = append(t.Queues, queueing.Queue{Name: queue, Type: r.queueType(), SingleActive: true})
	}
	t.Partitioners = []queueing.Partitioner{p}
	return t, p.Queues
}

// ofPartition makes a message of one partition.
func ofPartition(exchange string, partition uint32, id string) *queueing.Message {
	return &queueing.Message{
		Exchange: exchange, RoutingKey: "some.key", Event: newEvent(id), Mandatory: true, Persistent: true,
		Partition: partition, Partitioned: true,
	}
}

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
