package check_test

import (
	"fmt"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
)

const (
	topic   = "shop/orders"
	billing = "shop/billing" // ordered
	audit   = "shop/audit"   // not
	ms      = time.Millisecond
)

// demands is the expectation for the histories made here.
func demands() check.Expect {
	return check.Expect{
		Subscriptions: []check.Subscription{{Name: billing, Ordered: true}, {Name: audit}},
		ConfirmOrder:  true,
		MaxRecovery:   time.Second,
		MinInFlight:   1,
		Growth:        check.Growth{Memory: 1 << 20, Goroutines: 5, FDs: 5, PeakMemory: 64 << 20},
	}
}

// made is a small history without violations: three keys with ten events each, one
// event every 10ms. Both subscriptions ack every event 2ms after its confirm.
func made() *history.Run {
	run := &history.Run{Scenario: "made", Seed: 1, Drained: 400 * ms}
	for seq := range uint64(10) {
		for _, key := range []string{"a", "b", "c"} {
			start := time.Duration(seq) * 10 * ms
			p := history.Publish{ID: fmt.Sprint(key, seq+1), Topic: topic, Key: key, Seq: seq + 1, Start: start, End: start + 5*ms, Deadline: time.Second, Result: history.OK}
			run.Publishes = append(run.Publishes, p)
			for _, sub := range []string{billing, audit} {
				run.Deliveries = append(run.Deliveries, deliveryOf(&p, sub, p.End+2*ms))
			}
		}
	}
	run.Faults = []history.Fault{{Name: "kill", Injected: 42 * ms, Healed: 49 * ms, Proof: "pid 7 is gone", InFlight: 3}}
	for _, at := range []time.Duration{0, 10 * ms, 20 * ms, 400 * ms, 410 * ms, 420 * ms} {
		run.Samples = append(run.Samples, history.Sample{Process: "sidecar", At: at, RSS: 40 << 20, Anon: 20 << 20, Goroutines: 50, FDs: 20})
	}
	return run
}

// deliveryOf is an acked first copy.
func deliveryOf(p *history.Publish, sub string, at time.Duration) history.Delivery {
	return history.Delivery{Subscription: sub, Consumer: "c1", ID: p.ID, Key: p.Key, Seq: p.Seq, At: at, Attempt: 1, Outcome: history.Ack, SettledAt: at + ms}
}

// publish returns the first call for an id.
func publish(run *history.Run, id string) *history.Publish {
	for i := range run.Publishes {
		if run.Publishes[i].ID == id {
			return &run.Publishes[i]
		}
	}
	panic("no call for " + id)
}

// deliveryTo returns the first copy of an event that a subscription got.
func deliveryTo(run *history.Run, sub, id string) *history.Delivery {
	for i := range run.Deliveries {
		if d := &run.Deliveries[i]; d.Subscription == sub && d.ID == id {
			return d
		}
	}
	panic(id + " was not delivered to " + sub)
}

// forget removes the deliveries of an event to a subscription.
func forget(run *history.Run, sub, id string) {
	keep := run.Deliveries[:0]
	for _, d := range run.Deliveries {
		if d.Subscription != sub || d.ID != id {
			keep = append(keep, d)
		}
	}
	run.Deliveries = keep
	var dead []history.DeadLetter
	for _, d := range run.DeadLetters {
		if d.Subscription != sub || d.ID != id {
			dead = append(dead, d)
		}
	}
	run.DeadLetters = dead
}

// again adds a copy of an event to a subscription.
func again(run *history.Run, sub, id string, flag bool) {
	d := *deliveryTo(run, sub, id)
	d.At, d.SettledAt, d.Redelivered = d.At+ms, d.SettledAt+ms, flag
	run.Deliveries = append(run.Deliveries, d)
}

// repeat answers the first call of an event with r, and makes the publisher repeat it
// successfully after a while.
func repeat(run *history.Run, id string, r history.Result, after time.Duration) {
	p := publish(run, id)
	p.Result, p.Code, p.Reason = r, "UNAVAILABLE", "CHANNEL_CLOSED"
	c := *p
	c.Repeat, c.Start, c.End, c.Result, c.Code, c.Reason = 1, p.End+after, p.End+after+ms, history.OK, "", ""
	run.Publishes = append(run.Publishes, c)
}
