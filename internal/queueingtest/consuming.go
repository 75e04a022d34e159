package queueingtest

import (
	"context"
	"sync"
	"time"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// consuming is how deliveries flow.
var consuming = []behaviour{
	{name: "a delivery says where it comes from", run: func(r *rig) {
		exchange, queues := r.exchange("x", "topic", "order.#")
		r.publish(&queueing.Message{Exchange: exchange, RoutingKey: "order.placed", Event: newEvent("1"), AppID: "checkout", Mandatory: true})
		d := r.consume(queues[0], 1).next()
		if d.Origin.Name != exchange || d.Origin.Key != "order.placed" || d.Part != queues[0] || d.AppID != "checkout" {
			r.Fatalf("delivery says exchange %q, key %q, queue %q, app %q", d.Origin.Name, d.Origin.Key, d.Part, d.AppID)
		}
		if d.Attempt != 1 || d.Redelivered || d.Epoch == 0 || string(d.Raw) != "data of 1" || d.DeadLetter != nil {
			r.Fatalf("first delivery is %+v", d)
		}
	}},
	{name: "a copy sent straight to a queue shows where the event was first published", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.OriginExchange, m.OriginKey = "orders", "com.shop.order.placed"
		r.publish(m)
		if d := r.consume(queue, 1).next(); d.Origin.Name != "orders" || d.Origin.Key != "com.shop.order.placed" || d.Part != queue {
			r.Fatalf("delivery says exchange %q, key %q, queue %q", d.Origin.Name, d.Origin.Key, d.Part)
		}
	}},
	{name: "events published before the consumer come in order", run: func(r *rig) {
		queue := r.queue("q")
		r.publishNumbered(queue, 1, 300)
		r.wantIDs(r.consume(queue, 10).acked(300), ids(1, 300))
	}},
	{name: "events published while consuming come in order", run: func(r *rig) {
		queue := r.queue("q")
		in := r.consume(queue, 10)
		for from := 1; from <= 201; from += 50 {
			r.publishNumbered(queue, from, from+49)
		}
		r.wantIDs(in.acked(250), ids(1, 250))
	}},
	{name: "order holds in each of many queues", run: func(r *rig) {
		exchange, queues := r.exchange("x", "direct", "0", "1", "2", "3")
		var messages []*queueing.Message
		for i, id := range ids(0, 199) {
			messages = append(messages, &queueing.Message{Exchange: exchange, RoutingKey: string(rune('0' + i%4)), Event: newEvent(id), Mandatory: true})
		}
		r.publishAll(messages...)
		for q, queue := range queues {
			var want []string
			for i := q; i < 200; i += 4 {
				want = append(want, numbered(i))
			}
			r.wantIDs(r.consume(queue, 7).acked(50), want)
		}
	}},
	{name: "at most prefetch deliveries are unsettled", run: func(r *rig) {
		queue := r.queue("q")
		r.publishNumbered(queue, 1, 20)
		in := r.consume(queue, 5)
		first := in.take(5)
		in.wantNone()
		r.ack(first[0])
		in.take(1)
		in.wantNone()
	}},
	{name: "two consumers of a queue share its events", run: func(r *rig) {
		queue := r.queue("q")
		one, two := r.consume(queue, 1), r.consume(queue, 1)
		r.publishNumbered(queue, 1, 2)
		a, b := one.next(), two.next() // neither gets a second before it settles
		if a.Event.ID == b.Event.ID {
			r.Fatalf("both consumers got event %s", a.Event.ID)
		}
	}},
	{name: "a consumer of a missing queue is told so", run: func(r *rig) {
		ctx := r.context()
		_, err := r.driver.Consume(ctx, queueing.ConsumeOptions{Queue: r.name("missing"), Prefetch: 1}, func([]*queueing.Delivery) {})
		r.wantKind(err, broker.NotFound)
	}},
	{name: "a prefetch below one is invalid", run: func(r *rig) {
		queue := r.queue("q")
		_, err := r.driver.Consume(r.context(), queueing.ConsumeOptions{Queue: queue}, func([]*queueing.Delivery) {})
		r.wantKind(err, broker.Invalid)
	}},
	{name: "Consume returns only after its sink has", run: slowSink},
	{name: "a consumer that stops takes nothing more", run: func(r *rig) {
		queue := r.queue("q")
		in := r.consume(queue, 5)
		r.publishNumbered(queue, 1, 3)
		r.wantIDs(in.acked(3), ids(1, 3))
		in.end()
		r.publishNumbered(queue, 4, 6)
		r.wantIDs(r.consume(queue, 5).acked(3), ids(4, 6))
		if late := len(in.deliveries); late > 0 {
			r.Fatalf("%d deliveries after Consume returned", late)
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
}

// slowSink ends the context while sink blocks.
func slowSink(r *rig) {
	queue := r.queue("q")
	r.publishNumbered(queue, 1, 1)
	ctx, cancel := context.WithCancel(r.context())
	defer cancel()
	entered, leave, returned := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		drain, err := r.driver.Consume(ctx, queueing.ConsumeOptions{Queue: queue, Prefetch: 1}, one.Each(func(*queueing.Delivery) {
			close(entered)
			<-leave
		}))
		if drain != nil {
			drain()
		}
		returned <- err
	}()
	select {
	case <-entered:
	case <-time.After(patience):
		close(leave)
		r.Fatal("sink was not called")
	}
	cancel()
	select {
	case err := <-returned:
		r.Errorf("Consume returned while sink was running: %v", err)
		close(leave)
		return
	case <-time.After(quiet):
	}
	close(leave)
	if err := <-returned; err != nil {
		r.Fatalf("Consume: %v", err)
	}
}

// settling is what becomes of deliveries.
var settling = []behaviour{
	{name: "an acked event is gone", run: func(r *rig) {
		queue := r.queue("q")
		r.publishNumbered(queue, 1, 3)
		in := r.consume(queue, 3)
		for _, d := range in.take(3) {
			if d.Event.ID != numbered(3) {
				r.ack(d)
			}
		}
		in.end()
		r.wantIDs(r.consume(queue, 3).acked(1), ids(3, 3))
	}},
	{name: "a requeued event comes back with the next attempt", run: func(r *rig) {
		queue := r.queue("q")
		r.publishNumbered(queue, 1, 1)
		in := r.consume(queue, 1)
		for attempt := uint32(1); attempt <= 4; attempt++ {
			d := in.next()
			if d.Attempt != attempt || d.Redelivered != (attempt > 1) {
				r.Fatalf("attempt is %d and redelivered %t, want attempt %d", d.Attempt, d.Redelivered, attempt)
			}
			r.requeue(d)
		}
	}},
	{name: "attempts count on from the message's own", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.Attempt = 3
		r.publish(m)
		in := r.consume(queue, 1)
		first := in.next()
		r.requeue(first)
		second := in.next()
		if first.Attempt != 3 || second.Attempt != 4 {
			r.Fatalf("attempts are %d and %d, want 3 and 4", first.Attempt, second.Attempt)
		}
		if first.Returned != 0 || second.Returned != 1 {
			r.Fatalf("returned %d and %d times, want 0 and 1", first.Returned, second.Returned)
		}
	}},
	{name: "requeued events return to their places", run: func(r *rig) {
		queue := r.queue("q")
		r.publishNumbered(queue, 1, 8)
		in := r.consume(queue, 5)
		got := in.take(5)
		in.stop()
		for _, d := range got {
			r.requeue(d)
		}
		in.drain()
		r.wantIDs(r.consume(queue, 10).acked(8), ids(1, 8))
	}},
	{name: "drain gives everything unsettled back in order", run: func(r *rig) {
		queue := r.queue("q")
		r.publishNumbered(queue, 1, 8)
		in := r.consume(queue, 5)
		got := in.take(5)
		in.stop()
		r.ack(got[2])
		in.drain()
		again := r.consume(queue, 10).take(7)
		r.wantIDs(idsOf(again), append(ids(1, 2), ids(4, 8)...))
		for _, d := range again[:4] {
			if !d.Redelivered || d.Attempt != 2 {
				r.Fatalf("event %s came back with attempt %d, redelivered %t", d.Event.ID, d.Attempt, d.Redelivered)
			}
		}
	}},
	{name: "deliveries are stale after drain, which can be repeated", run: func(r *rig) {
		queue := r.queue("q")
		r.publishNumbered(queue, 1, 2)
		in := r.consume(queue, 2)
		got := in.take(2)
		in.stop()
		in.drain()
		in.drain()
		r.wantStale(got[0].Ack())
		r.wantStale(got[1].Requeue())
		r.wantIDs(r.consume(queue, 2).acked(2), ids(1, 2))
	}},
	{name: "a delivery is settled once", run: func(r *rig) {
		queue := r.queue("q")
		r.publishNumbered(queue, 1, 3)
		in := r.consume(queue, 3)
		got := in.take(3)
		r.ack(got[0])
		r.wantStale(got[0].Ack())
		r.wantStale(got[0].Requeue())
		r.ack(got[1]) // the channel survived
		in.end()
		r.wantIDs(r.consume(queue, 3).acked(1), ids(3, 3))
	}},
	{name: "deliveries are settled in any order from many goroutines", run: func(r *rig) {
		const n = 200
		queue := r.queue("q")
		r.publishNumbered(queue, 1, n)
		in := r.consume(queue, n)
		got := in.take(n)
		var wg sync.WaitGroup
		for _, d := range got {
			wg.Go(func() {
				if err := d.Ack(); err != nil {
					r.Errorf("ack %s: %v", d.Event.ID, err)
				}
			})
		}
		wg.Wait()
		in.end()
		r.publish(toQueue(queue, "last"))
		r.wantIDs(r.consume(queue, n).acked(1), []string{"last"})
	}},
	{name: "a repeated publish is redelivered at its first attempt", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.Republished = true
		r.publish(m)
		if d := r.consume(queue, 1).next(); !d.Redelivered || d.Attempt != 1 {
			r.Fatalf("redelivered is %t and attempt %d, want true and 1", d.Redelivered, d.Attempt)
		}
	}},
	{name: "stale settlements are counted", run: func(r *rig) {
		queue := r.queue("q")
		r.publishNumbered(queue, 1, 1)
		in := r.consume(queue, 1)
		d := in.next()
		in.end()
		before := r.driver.State().Stale
		r.wantStale(d.Ack())
		r.awaitState("the stale ack is counted", func(s broker.State) bool { return s.Stale == before+1 })
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
}
