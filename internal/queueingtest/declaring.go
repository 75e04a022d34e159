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

// declaring is what topology means.
var declaring = []behaviour{
	{name: "a topology can be declared again and grow", run: func(r *rig) {
		t := queueing.Topology{
			Exchanges: []mesh.Exchange{{Name: r.name("x"), Type: "topic"}},
			Queues:    []queueing.Queue{{Name: r.name("q"), Type: r.queueType()}},
			Bindings:  []queueing.Binding{{Exchange: r.name("x"), Queue: r.name("q"), Key: "a"}},
		}
		r.ensure(t)
		in := r.consume(r.name("q"), 5)
		r.ensure(t)
		t.Bindings = append(t.Bindings, queueing.Binding{Exchange: r.name("x"), Queue: r.name("q"), Key: "b"})
		r.ensure(t)
		for _, key := range []string{"a", "b"} {
			r.publish(&queueing.Message{Exchange: r.name("x"), RoutingKey: key, Event: newEvent(key), Mandatory: true})
		}
		r.wantIDs(in.acked(2), []string{"a", "b"})
	}},
	{name: "a binding that is gone leads nowhere, and may be gone already", run: func(r *rig) {
		exchange, queues := r.exchange("x", "topic", "a", "b")
		gone := []queueing.Binding{
			{Exchange: exchange, Queue: queues[0], Key: "a"}, {Exchange: exchange, Queue: queues[1], Key: "never"},
			{Exchange: r.name("no-exchange"), Queue: queues[1], Key: "a"}, {Exchange: exchange, Queue: r.name("no-queue"), Key: "a"},
		}
		r.ensure(queueing.Topology{Gone: gone})
		r.ensure(queueing.Topology{Gone: gone})
		err := r.tryPublish(&queueing.Message{Exchange: exchange, RoutingKey: "a", Event: newEvent("a"), Mandatory: true})
		r.wantKind(err, broker.Unroutable, broker.Failed)
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "b", Event: newEvent("b"), Mandatory: true})
	}},
	{name: "a binding that is gone does not come back with the connection", needs: interrupt, run: func(r *rig) {
		exchange, queues := r.exchange("x", "topic", "a")
		r.ensure(queueing.Topology{Gone: []queueing.Binding{{Exchange: exchange, Queue: queues[0], Key: "a"}}})
		r.harness.Interrupt(r.T, r.driver)
		r.awaitState("the driver is up again", func(s broker.State) bool { return s.Publishing && s.Consuming })
		r.ensure(queueing.Topology{}) // what is remembered has been declared before
		err := r.tryPublish(&queueing.Message{Exchange: exchange, RoutingKey: "a", Event: newEvent("a"), Mandatory: true})
		for broker.KindOf(err) == broker.Closed || broker.KindOf(err) == broker.Unavailable {
			err = r.tryPublish(&queueing.Message{Exchange: exchange, RoutingKey: "a", Event: newEvent("a"), Mandatory: true})
		}
		r.wantKind(err, broker.Unroutable, broker.Failed)
	}},
	{name: "an exchange of another type is a conflict that names both", run: func(r *rig) {
		exchange, queues := r.exchange("x", "topic", "#")
		err := r.tryEnsure(queueing.Topology{Exchanges: []mesh.Exchange{{Name: exchange, Type: "fanout"}}})
		r.wantConflict(err, exchange, "topic", "fanout")
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "k", Event: newEvent("still"), Mandatory: true})
		r.wantIDs(r.consume(queues[0], 1).acked(1), []string{"still"})
	}},
	{name: "a queue of another type is a conflict that names both", run: func(r *rig) {
		queue := r.name("q")
		r.ensure(queueing.Topology{Queues: []queueing.Queue{{Name: queue, Type: "classic"}}})
		err := r.tryEnsure(queueing.Topology{Queues: []queueing.Queue{{Name: queue, Type: "quorum"}}})
		r.wantConflict(err, queue, "classic", "quorum")
		r.publish(toQueue(queue, "still"))
		r.wantIDs(r.consume(queue, 1).acked(1), []string{"still"})
	}},
	{name: "Verify passes what exists", run: func(r *rig) {
		exchange, queues := r.exchange("x", "direct", "k")
		r.ensure(queueing.Topology{
			Policy:    mesh.Verify,
			Exchanges: []mesh.Exchange{{Name: exchange, Type: "direct"}},
			Queues:    []queueing.Queue{{Name: queues[0], Type: r.queueType()}},
		})
	}},
	{name: "Verify names everything that is missing, says what to declare, and declares nothing", run: func(r *rig) {
		queue := r.queue("there")
		t := queueing.Topology{
			Policy:    mesh.Verify,
			Exchanges: []mesh.Exchange{{Name: r.name("no-exchange"), Type: "fanout"}},
			Queues:    []queueing.Queue{{Name: queue, Type: r.queueType()}, {Name: r.name("no-queue"), Type: r.queueType()}},
		}
		for range 2 { // the first try must not have declared it
			err := r.tryEnsure(t)
			r.wantKind(err, broker.NotFound)
			for _, part := range []string{r.name("no-exchange"), r.name("no-queue"), "type fanout", "topology Manage"} {
				if !strings.Contains(err.Error(), part) {
					r.Fatalf("the error does not say %q: %v", part, err)
				}
			}
			if strings.Contains(err.Error(), queue) {
				r.Fatalf("the error is about queue %q, which is there: %v", queue, err)
			}
		}
	}},
	{name: "Verify binds nothing", run: func(r *rig) {
		exchange, queues := r.exchange("x", "topic", "only.this")
		r.ensure(queueing.Topology{
			Policy:    mesh.Verify,
			Exchanges: []mesh.Exchange{{Name: exchange, Type: "topic"}},
			Queues:    []queueing.Queue{{Name: queues[0], Type: r.queueType()}},
			Bindings:  []queueing.Binding{{Exchange: exchange, Queue: queues[0], Key: "#"}},
		})
		r.wantKind(r.tryPublish(&queueing.Message{Exchange: exchange, RoutingKey: "other", Event: newEvent("lost"), Mandatory: true}), broker.Unroutable)
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "only.this", Event: newEvent("taken"), Mandatory: true})
		r.wantIDs(r.consume(queues[0], 1).acked(1), []string{"taken"})
	}},
	{name: "Ignore declares nothing", run: func(r *rig) {
		r.ensure(queueing.Topology{
			Policy:    mesh.Ignore,
			Exchanges: []mesh.Exchange{{Name: r.name("x"), Type: "topic"}},
			Queues:    []queueing.Queue{{Name: r.name("q"), Type: r.queueType()}},
			Bindings:  []queueing.Binding{{Exchange: r.name("x"), Queue: r.name("q"), Key: "#"}},
		})
		r.wantKind(r.tryPublish(toQueue(r.name("q"), "a")), broker.Unroutable)
		r.wantKind(r.tryPublish(&queueing.Message{Exchange: r.name("x"), RoutingKey: "k", Event: newEvent("a")}), broker.NotFound, broker.NotSent)
	}},
	{name: "Ignore takes what is otherwise as it is", run: func(r *rig) {
		exchange, queues := r.exchange("x", "fanout", "")
		r.ensure(queueing.Topology{
			Policy:    mesh.Ignore,
			Exchanges: []mesh.Exchange{{Name: exchange, Type: "topic"}},
			Queues:    []queueing.Queue{{Name: queues[0], Type: r.queueType(), Delay: time.Second, Forward: "nowhere"}},
			Bindings:  []queueing.Binding{{Exchange: exchange, Queue: r.name("nothing"), Key: "k"}},
		})
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "any", Event: newEvent("a"), Mandatory: true})
		r.wantIDs(r.consume(queues[0], 1).acked(1), []string{"a"})
	}},
	{name: "what is no longer managed is not declared again", needs: deleteAndCut, run: func(r *rig) {
		for _, policy := range []mesh.TopologyPolicy{mesh.Verify, mesh.Ignore} {
			queue := r.name("q." + policy.String())
			t := queueing.Topology{
				Queues: []queueing.Queue{{Name: queue, Type: r.queueType()}, {Name: queue + ".room", Type: r.queueType(), Delay: time.Second, Forward: queue}},
			}
			r.ensure(t)
			managed := t
			t.Policy, t.Queues = policy, t.Queues[:1]
			r.ensure(t)
			r.harness.Delete(r.T, r.driver, managed)
			r.interrupt()
			r.publishAgain(toQueue(r.queue("mark."+policy.String()), "reconnected"))
			r.awaitState("the driver is up again", func(s broker.State) bool { return s.Publishing && s.Consuming })
			for _, gone := range managed.Queues {
				r.wantKind(r.tryPublish(toQueue(gone.Name, "a")), broker.Unroutable)
			}
		}
	}},
	{name: "a binding to a missing exchange is not found", run: func(r *rig) {
		queue := r.queue("q")
		err := r.tryEnsure(queueing.Topology{Bindings: []queueing.Binding{{Exchange: r.name("missing"), Queue: queue, Key: "#"}}})
		r.wantKind(err, broker.NotFound)
		r.publish(toQueue(queue, "still"))
	}},
	{name: "a queue with delayed retries is a conflict where the server has none", needs: func(h *Harness) bool { return !delays(h) }, run: func(r *rig) {
		err := r.tryEnsure(queueing.Topology{Queues: []queueing.Queue{{Name: r.name("q"), Type: r.queueType(), RetryDelay: time.Second}}})
		r.wantKind(err, broker.Conflict)
		r.wantKind(r.tryPublish(toQueue(r.name("q"), "a")), broker.Unroutable)
	}},
	{name: "a queue with delayed retries makes what is requeued wait, and counts it", needs: delays, run: func(r *rig) {
		const delay = 300 * time.Millisecond
		queue := r.name("q")
		r.ensure(queueing.Topology{Queues: []queueing.Queue{{Name: queue, Type: r.queueType(), RetryDelay: delay}}})
		in := r.consume(queue, 10)
		r.publish(toQueue(queue, "a"))
		d := in.next()
		for n := range uint32(3) {
			began := time.Now()
			r.requeue(d)
			if n == 0 {
				r.publish(toQueue(queue, "b")) // does not wait behind it
				r.wantIDs(in.acked(1), []string{"b"})
			}
			d = in.next()
			if took := time.Since(began); took < delay {
				r.Fatalf("requeue %d was over after %v, want at least %v", n+1, took, delay)
			}
			if want := n + 1; d.Event.ID != "a" || d.Returned != want || d.Waited != want || d.Attempt != want+1 || !d.Redelivered {
				r.Fatalf("after requeue %d it is %s, returned %d times, waited %d, attempt %d, redelivered %t", n+1, d.Event.ID, d.Returned, d.Waited, d.Attempt, d.Redelivered)
			}
		}
	}},
	{name: "what a drain gives back to a queue with delayed retries does not wait", needs: delays, run: func(r *rig) {
		queue := r.name("q")
		r.ensure(queueing.Topology{Queues: []queueing.Queue{{Name: queue, Type: r.queueType(), RetryDelay: time.Minute}}})
		r.publish(toQueue(queue, "a"))
		in := r.consume(queue, 1)
		in.next()
		in.stop()
		in.drain()
		if d := r.consume(queue, 1).next(); d.Returned != 1 || d.Waited != 0 || !d.Redelivered {
			r.Fatalf("it came back as returned %d times, waited %d, redelivered %t", d.Returned, d.Waited, d.Redelivered)
		}
	}},
	{name: "a delay queue forwards in order, not before its delay", run: func(r *rig) {
		const delay = 300 * time.Millisecond
		target := r.queue("target")
		r.ensure(queueing.Topology{Queues: []queueing.Queue{{Name: r.name("delay"), Type: r.queueType(), Delay: delay, Forward: target}}})
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
		r.ensure(queueing.Topology{Queues: []queueing.Queue{{Name: r.name("delay"), Type: r.queueType(), Delay: 20 * time.Millisecond, Forward: target}}})
		m := toQueue(r.name("delay"), "a")
		m.Attempt, m.AppID = 3, "checkout"
		m.OriginExchange, m.OriginKey = "orders", "placed"
		m.Trace = broker.TraceContext{Parent: hopParent}
		r.publish(m)
		in := r.consume(target, 1)
		first := in.next()
		if first.Attempt != 3 || first.AppID != m.AppID || first.Trace != m.Trace || first.Part != target ||
			first.Origin.Name != "orders" || first.Origin.Key != "placed" {
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

// routing is which queues a publish reaches.
var routing = []behaviour{
	{name: "topic patterns match words, * and #", run: matchTopics},
	{name: "a direct exchange matches the whole key", run: func(r *rig) {
		exchange, queues := r.exchange("x", "direct", "a.b", "a.*", "a")
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "a.b", Event: newEvent("1"), Mandatory: true})
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "a", Event: newEvent("2"), Mandatory: true})
		r.wantIDs(r.consume(queues[0], 5).acked(1), []string{"1"})
		r.wantIDs(r.consume(queues[2], 5).acked(1), []string{"2"})
		r.consume(queues[1], 5).wantNone()
	}},
	{name: "a fanout exchange ignores the key", run: func(r *rig) {
		exchange, queues := r.exchange("x", "fanout", "", "some key")
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "another", Event: newEvent("1"), Mandatory: true})
		for _, queue := range queues {
			r.wantIDs(r.consume(queue, 5).acked(1), []string{"1"})
		}
	}},
	{name: "a headers exchange takes everything where nothing is asked for", needs: func(h *Harness) bool { return h.Caps.Headers }, run: func(r *rig) {
		exchange, queues := r.exchange("x", "headers", "#")
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "any", Event: newEvent("1"), Mandatory: true})
		r.wantIDs(r.consume(queues[0], 5).acked(1), []string{"1"})
	}},
	{name: "every bound queue gets its own copy, in order", run: func(r *rig) {
		exchange, queues := r.exchange("x", "topic", "#", "order.*", "order.placed")
		var messages []*queueing.Message
		for _, id := range ids(1, 100) {
			messages = append(messages, &queueing.Message{Exchange: exchange, RoutingKey: "order.placed", Event: newEvent(id), Mandatory: true})
		}
		r.publishAll(messages...)
		for _, queue := range queues {
			r.wantIDs(r.consume(queue, 20).acked(100), ids(1, 100))
		}
	}},
	{name: "a queue bound twice gets an event once", run: func(r *rig) {
		exchange, queues := r.exchange("x", "topic", "a.#")
		r.ensure(queueing.Topology{
			Exchanges: []mesh.Exchange{{Name: exchange, Type: "topic"}},
			Queues:    []queueing.Queue{{Name: queues[0], Type: r.queueType()}},
			Bindings:  []queueing.Binding{{Exchange: exchange, Queue: queues[0], Key: "#.b"}, {Exchange: exchange, Queue: queues[0], Key: "a.#"}},
		})
		for _, id := range []string{"1", "2"} {
			r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "a.b", Event: newEvent(id), Mandatory: true})
		}
		in := r.consume(queues[0], 5)
		r.wantIDs(in.acked(2), []string{"1", "2"})
		in.wantNone()
	}},
}

// matchTopics checks every pattern against every key. What a queue got is read
// until a mark that reaches all of them.
func matchTopics(r *rig) {
	patterns := []string{"a.b.c", "a.*.c", "a.#", "#.c", "#", "*", "*.*", "a.#.c", "#.b.#", "a.*"}
	keys := map[string][]int{ // key: the patterns that match
		"a":       {2, 4, 5},
		"a.b":     {2, 4, 6, 8, 9},
		"a.c":     {2, 3, 4, 6, 7, 9},
		"a.b.c":   {0, 1, 2, 3, 4, 7, 8},
		"a.x.c":   {1, 2, 3, 4, 7},
		"a.b.x.c": {2, 3, 4, 7, 8},
		"b":       {4, 5, 8},
		"c":       {3, 4, 5},
		"x.y.z":   {4},
		"a..c":    {1, 2, 3, 4, 7},
	}
	exchange, queues := r.exchange("x", "topic", patterns...)
	var messages []*queueing.Message
	for key := range keys {
		messages = append(messages, &queueing.Message{Exchange: exchange, RoutingKey: key, Event: newEvent(key), Mandatory: true})
	}
	r.publishAll(messages...)
	for i, queue := range queues {
		r.publish(toQueue(queue, "mark"))
		var want, got []string
		for key, matching := range keys {
			if slices.Contains(matching, i) {
				want = append(want, key)
			}
		}
		in := r.consume(queue, 50)
		for id := in.acked(1)[0]; id != "mark"; id = in.acked(1)[0] {
			got = append(got, id)
		}
		slices.Sort(want)
		slices.Sort(got)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			r.Errorf("pattern %q took keys %v, want %v", patterns[i], got, want)
		}
	}
}
