package queueingtest

import (
	"fmt"
	"slices"
	"strings"

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
