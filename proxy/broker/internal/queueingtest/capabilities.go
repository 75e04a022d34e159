package queueingtest

import (
	"time"

	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// registered is how old a queue must be to survive its broker's sudden end. Ra, under
// RabbitMQ's quorum queues, writes the name of a new queue to disk after 500 ms
// without other new queues (names.dets, auto_save); a queue that is younger comes
// back without a leader, whatever it confirmed (measured with 3.10.8).
const registered = 3 * time.Second

// capabilities proves what mesh.Capabilities claims, one behaviour each.
var capabilities = []behaviour{
	{name: "state names the server and its version", run: func(r *rig) {
		name := r.driver.State().Server
		if v := version(&name); v == "unknown" || v == name {
			r.Fatalf("server is %q, want a product and a version", name)
		}
	}},
	{name: "an expired event is never delivered", needs: func(h *Harness) bool { return h.Caps.Expiration }, run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "short-lived")
		m.TTL = time.Millisecond
		r.publish(m)
		m = toQueue(queue, "long-lived")
		m.TTL = time.Hour
		r.publish(m)
		r.publish(toQueue(queue, "immortal"))
		<-time.After(quiet) // a hundred lifetimes
		r.wantIDs(r.consume(queue, 5).acked(2), []string{"long-lived", "immortal"})
	}},
	{name: "an event's priority is kept", needs: func(h *Harness) bool { return h.Caps.Priorities }, run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.Priority = 7
		r.publish(m)
		if d := r.consume(queue, 1).next(); d.Priority != 7 {
			r.Fatalf("priority is %d, want 7", d.Priority)
		}
	}},
	{name: "drivers of one broker share its queues", run: func(r *rig) {
		queue := r.queue("q")
		other := r.join()
		r.publishNumbered(queue, 1, 2)
		one, two := r.consume(queue, 1), r.consumeWith(other, queue, 1)
		a, b := one.next(), two.next()
		if a.Event.ID == b.Event.ID {
			r.Fatalf("both drivers got event %s", a.Event.ID)
		}
		one.end()
		r.ack(b)
		r.wantIDs(two.acked(1), []string{a.Event.ID})
	}},
	{name: "quorum queues count attempts over consumers", needs: func(h *Harness) bool { return h.Caps.QuorumQueue }, run: func(r *rig) {
		queue := r.name("q")
		r.ensure(queueing.Topology{Queues: []queueing.Queue{{Name: queue, Type: "quorum"}}})
		r.publishNumbered(queue, 1, 1)
		for attempt := uint32(1); attempt <= 3; attempt++ {
			in := r.consume(queue, 1)
			d := in.next()
			if d.Attempt != attempt {
				r.Fatalf("attempt is %d, want %d", d.Attempt, attempt)
			}
			in.end()
		}
	}},
	{name: "confirmed persistent events survive the broker's sudden end", needs: durable, alone: true, run: func(r *rig) {
		const n = 50
		exchange, queues := r.exchange("x", "topic", "#")
		<-time.After(registered)
		var messages []*queueing.Message
		for _, id := range ids(1, n) {
			messages = append(messages, &queueing.Message{Exchange: exchange, RoutingKey: "k", Event: newEvent(id), Mandatory: true, Persistent: true})
		}
		r.publishAll(messages...)
		r.restart()
		r.publishAgain(&queueing.Message{Exchange: exchange, RoutingKey: "k", Event: newEvent("after"), Mandatory: true, Persistent: true})
		r.wantIDs(r.consume(queues[0], n).acked(n+1), append(ids(1, n), "after"))
	}},
}

func durable(h *Harness) bool { return h.Caps.Durable && h.Alone != nil }

// join returns another driver on the same broker.
func (r *rig) join() queueing.Driver {
	r.Helper()
	if r.harness.Join != nil {
		return r.harness.Join(r.T, r.driver)
	}
	return r.harness.New(r.T)
}
