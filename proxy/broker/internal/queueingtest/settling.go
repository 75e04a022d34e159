package queueingtest

import (
	"sync"

	"github.com/warrenmesh/warren/proxy/broker"
)

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
}
