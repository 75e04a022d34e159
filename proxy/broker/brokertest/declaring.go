package brokertest

import (
	"slices"
	"strings"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/xds/mesh"
)

// declaring is what topology means.
var declaring = []behaviour{
	{name: "a topology can be declared again and grow", run: func(r *rig) {
		t := broker.Topology{
			Exchanges: []mesh.Exchange{{Name: r.name("x"), Type: "topic"}},
			Queues:    []broker.Queue{{Name: r.name("q"), Type: r.queueType()}},
			Bindings:  []broker.Binding{{Exchange: r.name("x"), Queue: r.name("q"), Key: "a"}},
		}
		r.ensure(t)
		in := r.consume(r.name("q"), 5)
		r.ensure(t)
		t.Bindings = append(t.Bindings, broker.Binding{Exchange: r.name("x"), Queue: r.name("q"), Key: "b"})
		r.ensure(t)
		for _, key := range []string{"a", "b"} {
			r.publish(&broker.Message{Exchange: r.name("x"), RoutingKey: key, Event: newEvent(key), Mandatory: true})
		}
		r.wantIDs(in.acked(2), []string{"a", "b"})
	}},
	{name: "an exchange of another type is a conflict that names both", run: func(r *rig) {
		exchange, queues := r.exchange("x", "topic", "#")
		err := r.tryEnsure(broker.Topology{Exchanges: []mesh.Exchange{{Name: exchange, Type: "fanout"}}})
		r.wantConflict(err, exchange, "topic", "fanout")
		r.publish(&broker.Message{Exchange: exchange, RoutingKey: "k", Event: newEvent("still"), Mandatory: true})
		r.wantIDs(r.consume(queues[0], 1).acked(1), []string{"still"})
	}},
	{name: "a queue of another type is a conflict that names both", run: func(r *rig) {
		queue := r.name("q")
		r.ensure(broker.Topology{Queues: []broker.Queue{{Name: queue, Type: "classic"}}})
		err := r.tryEnsure(broker.Topology{Queues: []broker.Queue{{Name: queue, Type: "quorum"}}})
		r.wantConflict(err, queue, "classic", "quorum")
		r.publish(toQueue(queue, "still"))
		r.wantIDs(r.consume(queue, 1).acked(1), []string{"still"})
	}},
	{name: "Verify passes what exists", run: func(r *rig) {
		exchange, queues := r.exchange("x", "direct", "k")
		r.ensure(broker.Topology{
			Policy:    mesh.Verify,
			Exchanges: []mesh.Exchange{{Name: exchange, Type: "direct"}},
			Queues:    []broker.Queue{{Name: queues[0], Type: r.queueType()}},
		})
	}},
	{name: "Verify names what is missing and declares nothing", run: func(r *rig) {
		for _, t := range []broker.Topology{
			{Policy: mesh.Verify, Exchanges: []mesh.Exchange{{Name: r.name("missing"), Type: "topic"}}},
			{Policy: mesh.Verify, Queues: []broker.Queue{{Name: r.name("missing"), Type: r.queueType()}}},
		} {
			for range 2 { // the first try must not have declared it
				err := r.tryEnsure(t)
				r.wantKind(err, broker.NotFound)
				if !strings.Contains(err.Error(), r.name("missing")) {
					r.Fatalf("error does not name %q: %v", r.name("missing"), err)
				}
			}
		}
	}},
	{name: "Ignore declares nothing", run: func(r *rig) {
		r.ensure(broker.Topology{
			Policy:    mesh.Ignore,
			Exchanges: []mesh.Exchange{{Name: r.name("x"), Type: "topic"}},
			Queues:    []broker.Queue{{Name: r.name("q"), Type: r.queueType()}},
		})
		r.wantKind(r.tryPublish(toQueue(r.name("q"), "a")), broker.Unroutable)
	}},
	{name: "a binding to a missing exchange is not found", run: func(r *rig) {
		queue := r.queue("q")
		err := r.tryEnsure(broker.Topology{Bindings: []broker.Binding{{Exchange: r.name("missing"), Queue: queue, Key: "#"}}})
		r.wantKind(err, broker.NotFound)
		r.publish(toQueue(queue, "still"))
	}},
	{name: "a delay queue forwards in order, not before its delay", run: func(r *rig) {
		const delay = 300 * time.Millisecond
		target := r.queue("target")
		r.ensure(broker.Topology{Queues: []broker.Queue{{Name: r.name("delay"), Type: r.queueType(), Delay: delay, Forward: target}}})
		in := r.consume(target, 10)
		began := time.Now()
		r.publishNumbered(r.name("delay"), 1, 5)
		r.wantIDs(in.acked(5), ids(1, 5))
		if took := time.Since(began); took < delay {
			r.Fatalf("forwarded after %v, the delay is %v", took, delay)
		}
	}},
	{name: "what a delay queue forwards keeps its attempt and its context", run: func(r *rig) {
		target := r.queue("target")
		r.ensure(broker.Topology{Queues: []broker.Queue{{Name: r.name("delay"), Type: r.queueType(), Delay: 20 * time.Millisecond, Forward: target}}})
		m := toQueue(r.name("delay"), "a")
		m.Attempt, m.AppID = 3, "checkout"
		m.OriginExchange, m.OriginKey = "orders", "placed"
		m.Trace = broker.TraceContext{Parent: hopParent}
		r.publish(m)
		in := r.consume(target, 1)
		first := in.next()
		if first.Attempt != 3 || first.AppID != m.AppID || first.Trace != m.Trace || first.Queue != target ||
			first.Exchange != "orders" || first.RoutingKey != "placed" {
			r.Fatalf("forwarded delivery is %+v", first)
		}
		r.wantSame(first.Event, m.Event)
		r.requeue(first)
		if second := in.next(); second.Attempt != 4 {
			r.Fatalf("attempt after a requeue is %d, want 4", second.Attempt)
		}
	}},
}

// wantConflict checks that err names the object, what exists and what was wanted.
func (r *rig) wantConflict(err error, names ...string) {
	r.Helper()
	r.wantKind(err, broker.Conflict)
	text := err.Error()
	if i := slices.IndexFunc(names, func(name string) bool { return !strings.Contains(text, name) }); i >= 0 {
		r.Fatalf("conflict does not say %q: %v", names[i], err)
	}
}
