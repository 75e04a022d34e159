package queueingtest

import (
	"context"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/internal/one"
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
