package queueingtest

import (
	"slices"
	"strings"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// letters is what a queue with a dead-letter queue does with what it gives up.
var letters = []behaviour{
	{name: "what is rejected is in the dead-letter queue, whole, and says where it comes from", run: func(r *rig) {
		queue, dead := r.backed("q")
		exchange := r.name("x")
		r.ensure(queueing.Topology{Exchanges: []mesh.Exchange{{Name: exchange, Type: "topic"}}, Bindings: []queueing.Binding{{Exchange: exchange, Queue: queue, Key: "#"}}})
		m := &queueing.Message{
			Exchange: exchange, RoutingKey: "a.key", Event: newEvent("a"), Mandatory: true, Persistent: true, AppID: "checkout", Priority: 3,
			Headers: []broker.Header{{Name: "tenant", Value: "acme"}}, ReplyTo: "rpc.q", ContentEncoding: "gzip",
		}
		r.publish(m)
		if err := r.consume(queue, 1).next().Reject(); err != nil {
			r.Fatal(err)
		}
		d := r.readLetters(dead).next()
		l := d.DeadLetter
		if l == nil || l.Reason != broker.ReasonSetAside || l.Part != queue || l.Subscription != "" || l.Origin != (broker.Origin{Name: exchange, Key: "a.key"}) {
			r.Fatalf("the letter says %+v", l)
		}
		if d.Origin.Name != exchange || d.Origin.Key != "a.key" || d.AppID != m.AppID || d.Priority != m.Priority {
			r.Fatalf("delivery %+v", d)
		}
		r.wantBeside(d, m)
		r.wantSame(d.Event, m.Event)
		r.wantEmpty(queue)
	}},
	{name: "what expires in a queue is in its dead-letter queue", run: func(r *rig) {
		queue, dead := r.backed("q")
		m := toQueue(queue, "a")
		m.TTL, m.OriginExchange, m.OriginKey, m.Attempt = 50*time.Millisecond, "orders", "a.key", 3
		r.publish(m)
		d := r.readLetters(dead).next()
		if l := d.DeadLetter; l == nil || l.Reason != broker.ReasonExpired || l.Part != queue || d.Origin != (broker.Origin{Name: "orders", Key: "a.key"}) || d.Attempt != 3 {
			r.Fatalf("letter %+v of delivery %+v", l, d)
		}
		r.wantSame(d.Event, m.Event)
	}},
	{name: "a letter of the broker's can be put back, as it was", run: func(r *rig) {
		queue, dead := r.backed("q")
		m := toQueue(queue, "a")
		m.Headers = []broker.Header{{Name: "tenant", Value: "acme"}}
		r.publish(m)
		in := r.consume(queue, 1)
		if err := in.next().Reject(); err != nil {
			r.Fatal(err)
		}
		d := r.readLetters(dead).next()
		r.publish(&queueing.Message{Of: d.Original, Revived: true, RoutingKey: queue, Event: d.Event, Mandatory: true, Persistent: true, Republished: true})
		again := in.next()
		if again.DeadLetter != nil || again.Attempt != 1 || !again.Redelivered || again.Returning {
			r.Fatalf("it came back as %+v", again)
		}
		r.wantBeside(again, m)
		r.wantSame(again.Event, m.Event)
	}},
	{name: "a queue that exists without a dead-letter queue stays, and is not backed", run: func(r *rig) {
		queue := r.queue("q")
		q := queueing.Queue{Name: queue, Type: r.queueType(), DeadLetter: r.name("q.dead")}
		for range 2 {
			r.ensure(queueing.Topology{Queues: []queueing.Queue{q, {Name: q.DeadLetter, Type: r.queueType()}}})
			if r.driver.Backed(queue) {
				r.Fatal("it is said to be backed")
			}
		}
		r.publish(toQueue(queue, "a"))
		r.wantIDs(r.consume(queue, 1).acked(1), []string{"a"})
	}},
	{name: "a queue is backed by what it was declared with, also after a reconnect", needs: interrupt, run: func(r *rig) {
		queue, dead := r.backed("q")
		r.interrupt()
		if !r.driver.Backed(queue) || r.driver.Backed(dead) || r.driver.Backed(r.name("nobody's")) {
			r.Fatal("the wrong queues are backed")
		}
		r.publishAgain(toQueue(queue, "a"))
		if err := r.consume(queue, 1).next().Reject(); err != nil {
			r.Fatal(err)
		}
		r.readLetters(dead).next()
	}},
	{name: "who watches a dead-letter queue is told what the broker puts there, and nothing else", run: func(r *rig) {
		queue, dead := r.backed("q")
		_, other := r.backed("other")
		told, quiet := r.watch(dead), r.watch(other)
		letter := toQueue(dead, "ours")
		letter.DeadLetter = &broker.DeadLetter{Reason: "rejected", Subscription: "shop/billing"}
		r.publish(letter)
		in := r.consume(queue, 1)
		// A watch begins some time after it is asked for.
		var first *queueing.Delivery
		for n := 0; first == nil; n++ {
			r.publish(toQueue(queue, numbered(n)))
			if err := in.next().Reject(); err != nil {
				r.Fatal(err)
			}
			select {
			case first = <-told:
			case <-time.After(quietTime(n)):
			}
		}
		if l := first.DeadLetter; l == nil || l.Reason != broker.ReasonSetAside || l.Part != queue || first.Event == nil {
			r.Fatalf("told of %+v with %+v", first, l)
		}
		select {
		case d := <-quiet:
			r.Fatalf("who watches another queue is told of %+v", d)
		default:
		}
	}},
	{name: "a copy keeps what is beside the event, and carries what Warren says anew", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.Headers = []broker.Header{{Name: "tenant", Value: "acme"}, {Name: "n", Value: int64(7)}, {Name: "yes", Value: true}}
		m.ReplyTo, m.ContentEncoding, m.AppID, m.Priority = "rpc.q", "gzip", "checkout", 4
		m.Trace = broker.TraceContext{Parent: hopParent}
		r.publish(m)
		in := r.consume(queue, 1)
		d := in.next()
		ends := time.Now().Add(time.Hour).Truncate(time.Millisecond)
		failed := time.Date(2026, 2, 28, 23, 59, 59, 0, time.UTC)
		r.publish(&queueing.Message{
			Of: d.Original, RoutingKey: queue, Mandatory: true, Persistent: true, Attempt: 2, Crashes: 3, Expires: ends, FirstFailure: failed,
			OriginExchange: "orders", OriginKey: "a.key",
		})
		r.ack(d)
		again := in.next()
		r.wantBeside(again, m)
		r.wantSame(again.Event, m.Event)
		if again.Attempt != 2 || again.Crashes != 3 || !again.Expires.Equal(ends) || !again.FirstFailure.Equal(failed) || again.Returning ||
			again.Origin.Name != "orders" || again.Origin.Key != "a.key" || again.AppID != m.AppID || again.Priority != m.Priority || again.Trace != m.Trace {
			r.Fatalf("the copy came as %+v", again)
		}
	}},
	{name: "a message says how long it was published to live, and a copy too", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.TTL = time.Hour
		r.publish(m)
		in := r.consume(queue, 1)
		d := in.next()
		if d.Lifetime != time.Hour || !d.Expires.IsZero() {
			r.Fatalf("lifetime %v, end %v", d.Lifetime, d.Expires)
		}
		r.publish(&queueing.Message{Of: d.Original, RoutingKey: queue, Mandatory: true, Persistent: true, Attempt: 2})
		r.ack(d)
		if again := in.next(); again.Lifetime != time.Hour {
			r.Fatalf("a copy's lifetime is %v", again.Lifetime)
		}
	}},
	{name: "only what was handed out before is returning", run: func(r *rig) {
		queue := r.queue("q")
		m := toQueue(queue, "a")
		m.Republished = true
		r.publish(m)
		in := r.consume(queue, 1)
		first := in.next()
		if err := first.Requeue(); err != nil {
			r.Fatal(err)
		}
		second := in.next()
		if first.Returning || !first.Redelivered || !second.Returning || !second.Redelivered {
			r.Fatalf("returning %t, then %t", first.Returning, second.Returning)
		}
	}},
	{name: "a body over the consumer's limit is left behind and can be rejected", run: func(r *rig) {
		queue, dead := r.backed("q")
		large := toQueue(queue, "large")
		large.Event.Data = []byte(strings.Repeat("a", 2000))
		r.publishAll(large, toQueue(queue, "small"))
		in := r.consumeAs(r.driver, queueing.ConsumeOptions{Queue: queue, Prefetch: 2, MaxBytes: 1000})
		d := in.any()
		if d.Event != nil || d.Original != nil || d.Raw != nil || d.Malformed == nil || d.Size != 2000 || d.ID == "" {
			r.Fatalf("it came as %+v", d)
		}
		if err := d.Reject(); err != nil {
			r.Fatal(err)
		}
		r.wantIDs(in.acked(1), []string{"small"})
		if l := r.readLetters(dead).next(); l.Event == nil || len(l.Event.Data) != 2000 || l.DeadLetter.Reason != broker.ReasonSetAside {
			r.Fatalf("the letter is %+v", l)
		}
	}},
}

// quietTime is how long the n-th try waits for a sign.
func quietTime(n int) time.Duration { return min(quiet<<min(n, 6), 5*time.Second) }

// backed declares a queue that has a dead-letter queue, and returns both.
func (r *rig) backed(name string) (queue, dead string) {
	r.Helper()
	queue, dead = r.name(name), r.name(name+".dead")
	r.ensure(queueing.Topology{Queues: []queueing.Queue{
		{Name: queue, Type: r.queueType(), DeadLetter: dead}, {Name: dead, Type: r.queueType()},
	}})
	if !r.driver.Backed(queue) {
		r.Fatalf("queue %s is not backed", queue)
	}
	return queue, dead
}

func (r *rig) readLetters(dead string) *inbox {
	r.Helper()
	return r.consumeAs(r.driver, queueing.ConsumeOptions{Queue: dead, Prefetch: 1, Letters: true})
}

// watch returns what is told of a dead-letter queue.
func (r *rig) watch(dead string) <-chan *queueing.Delivery {
	r.Helper()
	told := make(chan *queueing.Delivery, 100)
	ctx := r.context()
	done := make(chan error, 1)
	go func() { done <- r.driver.Watch(ctx, dead, func(d *queueing.Delivery) { told <- d }) }()
	r.Cleanup(func() {
		if err := <-done; err != nil {
			r.Errorf("watch: %v", err)
		}
	})
	return told
}

// wantBeside wants what travels beside the event. A broker may sort headers, as RabbitMQ 4
// does.
func (r *rig) wantBeside(got *queueing.Delivery, want *queueing.Message) {
	r.Helper()
	byName := func(a, b broker.Header) int { return strings.Compare(a.Name, b.Name) }
	if !slices.Equal(slices.SortedFunc(slices.Values(got.Headers), byName), slices.SortedFunc(slices.Values(want.Headers), byName)) || got.ReplyTo != want.ReplyTo || got.ContentEncoding != want.ContentEncoding {
		r.Fatalf("beside the event are %v, reply to %q, encoding %q, want %v, %q, %q",
			got.Headers, got.ReplyTo, got.ContentEncoding, want.Headers, want.ReplyTo, want.ContentEncoding)
	}
}

// wantEmpty waits until a queue has nothing ready.
func (r *rig) wantEmpty(queue string) {
	r.Helper()
	poll := time.NewTicker(2 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.After(patience); ; {
		state, err := r.driver.Inspect(r.context(), queue)
		if err != nil {
			r.Fatal(err)
		}
		if state.Messages == 0 {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			r.Fatalf("queue %s still has %d messages", queue, state.Messages)
		}
	}
}
