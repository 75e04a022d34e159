package brokertest

import (
	"errors"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// wantStale checks that an outcome came too late.
func (r *rig) wantStale(err error) {
	r.Helper()
	if !errors.Is(err, broker.ErrStale) {
		r.Fatalf("settling what has gone back returned %v, want ErrStale", err)
	}
}

// outcomes are what becomes of deliveries.
var outcomes = []behaviour{
	{name: "what is acknowledged does not come again", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, "1", "2")
		in := r.receive(billing, 1)
		in.acked("1")
		in.want("2")
		in.end()
		again := r.receive(billing, 5)
		again.acked("2")
		again.empty()
	}},
	{name: "what is acknowledged together does not come again, nor does what is when the flow is over", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, "1", "2", "3", "4")
		in := r.receive(billing, 3)
		got := in.want("1", "2", "3")
		release := got[0].Gather()
		for _, d := range got[:2] {
			if err := d.Ack(); err != nil {
				r.Fatal(err)
			}
		}
		release()
		last := in.want("4")[0] // there is room for it, for the broker was told
		release = last.Gather()
		if err := last.Ack(); err != nil {
			r.Fatal(err)
		}
		in.end()
		release()
		again := r.receive(billing, 5)
		again.acked("3")
		again.empty()
	}},
	{name: "a delivery is settled once", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, "1")
		d := r.receive(billing, 1).next()
		if err := d.Ack(); err != nil {
			r.Fatal(err)
		}
		r.wantStale(d.Ack())
		r.wantStale(d.Return())
	}},
	{name: "what is not settled goes back in order when the receiver ends, and old deliveries are stale", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, numbered(4)...)
		in := r.receive(billing, 3)
		old := in.want("000", "001", "002")
		in.stop()
		if err := old[0].Ack(); err != nil {
			r.Errorf("between the flow's end and its drain: %v", err)
		}
		in.drain()
		in.drain() // idempotent
		r.wantStale(old[1].Ack())
		again := r.receive(billing, 5).want("001", "002", "003")
		if !again[0].Redelivered || !again[0].Returning || again[2].Returning {
			r.Errorf("marked as handed out before: %v %v, and the one that was not: %v", again[0].Redelivered, again[0].Returning, again[2].Returning)
		}
	}},
	{name: "what is returned comes again at once", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, "1")
		in := r.receive(billing, 1)
		if err := in.next().Return(); err != nil {
			r.Fatal(err)
		}
		if d := in.want("1")[0]; !d.Redelivered {
			r.Error("it is not marked as redelivered")
		}
	}},
	{name: "a retry comes again after its time as the next attempt, and nothing waits for it", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, "1", "2")
		in := r.receive(billing, 1)
		d := in.want("1")[0]
		failed := time.Now().Truncate(time.Millisecond)
		d.FirstFailure, d.Crashes = failed, 2
		began := time.Now() // the event waits from some moment within the settlement
		r.settle(d, retry(billing, 0))
		in.acked("2")
		again := in.want("1")[0]
		if waited := time.Since(began); waited < billing.Backoff.Base {
			r.Errorf("it came after %v, its backoff is %v", waited, billing.Backoff.Base)
		}
		if again.Attempt != 2 || !again.FirstFailure.Equal(failed) || again.Crashes != 2 || string(again.Raw) != "data of 1" || again.Origin != d.Origin {
			r.Errorf("the second attempt is %+v", again)
		}
		r.settle(again, retry(billing, 0))
		if third := in.want("1")[0]; third.Attempt != 3 {
			r.Errorf("the third attempt is number %d", third.Attempt)
		}
	}},
	{name: "a retry of one subscription is not seen by another", run: func(r *rig) {
		orders := r.topic("orders")
		billing, shipping := r.subscription(orders, "billing"), r.subscription(orders, "shipping")
		r.publish(orders, "1")
		in, other := r.receive(billing, 1), r.receive(shipping, 5)
		r.settle(in.next(), retry(billing, 0))
		in.acked("1")
		other.acked("1")
		other.empty()
	}},
	{name: "a retry that finds no waiting room waits in the process, and comes", run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		longer := *billing // as declared by others, who know of no such delay
		longer.Backoff = mesh.Backoff{Base: 70 * time.Millisecond, Max: 70 * time.Millisecond}
		r.publish(orders, "1")
		in := r.receive(billing, 5)
		d := in.next()
		begun := time.Now()
		r.settle(d, retry(&longer, 0))
		if again := in.want("1")[0]; again.Attempt != 2 || time.Since(begun) < longer.Backoff.Base {
			r.Errorf("attempt %d came after %v", again.Attempt, time.Since(begun))
		}
	}},
	{name: "after an interruption what was unsettled comes again, in a later epoch", needs: interrupt, run: func(r *rig) {
		orders := r.topic("orders")
		billing := r.subscription(orders, "billing")
		r.publish(orders, "1", "2")
		in := r.receive(billing, 5)
		old := in.want("1", "2")
		r.harness.Interrupt(r.T, r.driver)
		select {
		case epoch := <-in.lost:
			if epoch != old[0].Epoch {
				r.Errorf("lost epoch %d, the deliveries are of %d", epoch, old[0].Epoch)
			}
		case <-time.After(patience):
			r.Fatal("nobody was told that the epoch is over")
		}
		again := in.want("1", "2")
		if again[0].Epoch <= old[0].Epoch || !again[0].Redelivered {
			r.Errorf("after the interruption came %+v", again[0])
		}
		r.wantStale(old[0].Ack())
		for _, d := range again {
			if err := d.Ack(); err != nil {
				r.Error(err)
			}
		}
		r.publishAgain(message(orders, "3")) // declared and routed as before
		in.acked("3")
	}},
}
