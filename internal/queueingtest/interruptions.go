package queueingtest

import (
	"time"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// registered is how old a queue must be to survive its broker's sudden end. Ra, under
// RabbitMQ's quorum queues, writes the name of a new queue to disk after 500 ms
// without other new queues (names.dets, auto_save); a queue that is younger comes
// back without a leader, whatever it confirmed (measured with 3.10.8).
const registered = 3 * time.Second

// interruptions is what a lost connection and the end of a broker do, and do not, and what
// State says.
var interruptions = []behaviour{
	{name: "a consumer survives an interruption with a later epoch", needs: interrupt, run: func(r *rig) {
		queue := r.queue("q")
		in := r.consume(queue, 5)
		r.publish(toQueue(queue, "before"))
		before := in.next()
		r.ack(before)
		r.interrupt()
		r.publishAgain(toQueue(queue, "after"))
		after := r.awaitID(in, "after")
		if after.Epoch <= before.Epoch {
			r.Fatalf("epoch is %d after an interruption, was %d", after.Epoch, before.Epoch)
		}
	}},
	{name: "a consumer is told which epoch is lost before anything of a later one comes", needs: interrupt, run: func(r *rig) {
		queue := r.queue("q")
		r.publishNumbered(queue, 1, 3)
		in := r.consume(queue, 3)
		before := in.take(3)[0]
		r.interrupt()
		after := in.takeAfter(before.Epoch, 1)[0]
		select {
		case epoch := <-in.losses:
			if epoch != before.Epoch || epoch >= after.Epoch {
				r.Fatalf("told that epoch %d is lost: it was %d, and is %d now", epoch, before.Epoch, after.Epoch)
			}
		default:
			r.Fatalf("an event of epoch %d came, and nothing was told of the loss of %d", after.Epoch, before.Epoch)
		}
		in.end()
		if len(in.losses) > 0 && <-in.losses >= after.Epoch {
			r.Fatalf("the channel that was open at the end was told to be lost")
		}
	}},
	{name: "what was unsettled comes back in order and flagged", needs: interrupt, run: func(r *rig) {
		queue := r.queue("q")
		r.publishNumbered(queue, 1, 8)
		in := r.consume(queue, 5)
		in.take(5)
		r.interrupt()
		again := in.take(5)
		r.wantIDs(idsOf(again), ids(1, 5))
		for _, d := range again {
			if !d.Redelivered || d.Attempt < 2 {
				r.Fatalf("event %s came back with attempt %d, redelivered %t", d.Event.ID, d.Attempt, d.Redelivered)
			}
			r.ack(d)
		}
		r.wantIDs(in.acked(3), ids(6, 8))
	}},
	{name: "a stale ack is refused and loses nothing", needs: interrupt, run: staleAck},
	{name: "publishes in flight at an interruption fail as unknown at once", needs: holdAndCut, run: cutInFlight},
	{name: "no publish hangs or is lost over an interruption", needs: interrupt, run: publishThrough},
	{name: "state tells an interruption from being up", needs: interrupt, run: func(r *rig) {
		if s := r.driver.State(); s.Reason != "" || s.Blocked {
			r.Fatalf("state of a healthy driver is %+v", s)
		}
		r.interrupt()
		r.awaitState("the driver is up again", func(s broker.State) bool { return s.Publishing && s.Consuming && s.Reason == "" })
	}},
	{name: "topology is there after an interruption", needs: interrupt, run: func(r *rig) {
		exchange, queues := r.exchange("x", "topic", "#")
		r.interrupt()
		r.publishAgain(&queueing.Message{Exchange: exchange, RoutingKey: "k", Event: newEvent("a"), Mandatory: true})
		r.wantIDs(r.consume(queues[0], 1).acked(1), []string{"a"})
	}},
	{name: "state names the server and its version", run: func(r *rig) {
		name := r.driver.State().Server
		if v := version(&name); v == "unknown" || v == name {
			r.Fatalf("server is %q, want a product and a version", name)
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

// interrupt cuts the driver's connections.
func (r *rig) interrupt() {
	r.Helper()
	r.harness.Interrupt(r.T, r.driver)
}

// publishAgain publishes until a confirm, as the layer above a driver would. The
// driver may not have noticed the interruption yet.
func (r *rig) publishAgain(m *queueing.Message) {
	r.Helper()
	ctx := r.context()
	for {
		err := r.tryPublish(m)
		if err == nil {
			return
		}
		if kind := broker.KindOf(err); kind != broker.Unavailable && kind != broker.Closed || ctx.Err() != nil {
			r.Fatalf("publish over an interruption: %v", err)
		}
		r.awaitState("the driver is publishing again", func(s broker.State) bool { return s.Publishing })
	}
}

// awaitID acks deliveries until the one with id.
func (r *rig) awaitID(in *inbox, id string) *queueing.Delivery {
	r.Helper()
	for {
		d := in.next()
		r.ack(d)
		if d.Event.ID == id {
			return d
		}
	}
}

// staleAck acks deliveries of an old channel whose tags are in use again on the
// new one.
func staleAck(r *rig) {
	const n, prefetch = 20, 10
	queue := r.queue("q")
	r.publishNumbered(queue, 1, n)
	in := r.consume(queue, prefetch)
	old := in.take(prefetch)
	for _, d := range old[:5] {
		r.ack(d)
	}
	r.interrupt()
	fresh := in.takeAfter(old[0].Epoch, prefetch)
	before := r.driver.State().Stale
	for _, d := range old[5:] {
		r.wantStale(d.Ack())
	}
	if got := r.driver.State().Stale - before; got != prefetch-5 {
		r.Errorf("%d stale settlements were counted, want %d", got, prefetch-5)
	}
	seen := map[string]bool{}
	for _, d := range fresh {
		r.ack(d)
		seen[d.Event.ID] = true
	}
	// Acks sent just before the cut may not have arrived, so 1 to 5 may come back.
	for len(seen) < n-5 || !seen[numbered(n)] {
		d := in.next()
		r.ack(d)
		seen[d.Event.ID] = true
	}
	for _, id := range ids(6, n) {
		if !seen[id] {
			r.Errorf("event %s is lost", id)
		}
	}
}

// cutInFlight interrupts while publishes wait for their confirms.
func cutInFlight(r *rig) {
	const n = 100
	queue := r.queue("q")
	r.publish(toQueue(queue, "warm"))
	release := r.harness.HoldConfirms(r.T, r.driver)
	defer release()
	ctx := r.context()
	var receipts []*one.Receipt
	for i := range n {
		receipt, err := one.Publish(ctx, r.driver.Publish, *toQueue(queue, numbered(i)))
		if err != nil {
			r.Fatalf("publish %d: %v", i, err)
		}
		receipts = append(receipts, receipt)
	}
	r.interrupt()
	for _, receipt := range receipts {
		r.wantKind(receipt.Wait(ctx), broker.Closed, broker.Unknown)
	}
	release()
	r.publishAgain(toQueue(queue, "after"))
}

// publishThrough interrupts a stream of publishes. Everything confirmed must be in
// the queue, nothing that was certainly not sent may be.
func publishThrough(r *rig) {
	const n, inFlight = 1000, 64
	queue := r.queue("q")
	ctx := r.context()
	told := outcomes{confirmed: map[string]bool{}, unknown: map[string]bool{}}
	type pending struct {
		id      string
		receipt *one.Receipt
	}
	var flying []pending
	cut := make(chan struct{})
	for i, id := range ids(0, n-1) {
		if i == n/2 {
			go func() { defer close(cut); r.interrupt() }()
		}
		receipt, err := one.Publish(ctx, r.driver.Publish, *toQueue(queue, id))
		if err != nil {
			r.wantKind(err, broker.Unavailable, broker.NotSent)
			r.awaitState("the driver is publishing again", func(s broker.State) bool { return s.Publishing })
			continue
		}
		if flying = append(flying, pending{id, receipt}); len(flying) == inFlight {
			told.note(r, flying[0].id, flying[0].receipt.Wait(ctx))
			flying = flying[1:]
		}
	}
	<-cut
	for _, p := range flying {
		told.note(r, p.id, p.receipt.Wait(ctx))
	}
	r.publishAgain(toQueue(queue, "last"))
	told.compare(r, r.consume(queue, 200))
}

// outcomes is what receipts said, by event id.
type outcomes struct {
	confirmed, unknown map[string]bool
}

func (o outcomes) note(r *rig, id string, err error) {
	r.Helper()
	if err == nil {
		o.confirmed[id] = true
		return
	}
	r.wantKind(err, broker.Closed, broker.Unknown)
	o.unknown[id] = true
}

// compare reads a queue up to the event "last": all that was confirmed is there,
// and nothing but that and what is unknown.
func (o outcomes) compare(r *rig, in *inbox) {
	r.Helper()
	got := map[string]bool{}
	for id := in.acked(1)[0]; id != "last"; id = in.acked(1)[0] {
		got[id] = true
		if !o.confirmed[id] && !o.unknown[id] {
			r.Errorf("event %s is in the queue and was said not to be sent", id)
		}
	}
	for id := range o.confirmed {
		if !got[id] {
			r.Errorf("event %s was confirmed and is lost", id)
		}
	}
}
