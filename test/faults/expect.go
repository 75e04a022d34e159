package faults

import (
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
)

// prefetch is the default prefetch of a subscription.
const prefetch = 64

// expect is the expectation of most scenarios; a scenario changes what differs. It does
// not demand ConfirmOrder: by the API's contract the results of a stream come in any
// order, so that a client that does not read does not block others. The order of
// deliveries shows the order in which events were confirmed.
func (w *World) expect() check.Expect {
	e := check.Expect{
		Refused:     odd,
		MaxRecovery: time.Second,
		MinInFlight: 1,
		// Messages that the broker had delivered and that, as far as it knew, were not
		// settled: each subscriber's prefetch, at every fault.
		MoreDuplicates: prefetch * max(len(w.subscribers), 1) * w.faults,
		// A heap that grows once with the load is no leak; a second growth of that size
		// would be.
		Processes: []string{"checkout", billing},
		Growth:    check.Growth{Memory: 24 << 20, Goroutines: 24, FDs: 12, PeakMemory: 256 << 20},
	}
	for _, s := range w.declared.subscriptions() {
		e.Subscriptions = append(e.Subscriptions, check.Subscription{
			Name: w.namespace + "/" + s, Topics: []string{topicOf(s)}, Ordered: s == ledger || s == chain,
		})
	}
	return e
}

// subscription returns the expectation of one subscription.
func (w *World) subscription(e *check.Expect, name string) *check.Subscription {
	w.Helper()
	for i := range e.Subscriptions {
		if e.Subscriptions[i].Name == w.namespace+"/"+name {
			return &e.Subscriptions[i]
		}
	}
	w.Fatalf("nothing is demanded of %s", name)
	return nil
}

// odd reports whether a call must be refused. Some scenarios publish events that are
// not allowed, on topics of their own or with special ids.
func odd(p *history.Publish) bool { return p.Seq == 0 && p.ID != fits }

// fits is the id of the event of exactly the largest allowed size.
const fits = "large-fits"

// patient multiplies the time bounds, for a busy machine.
func patient(e check.Expect, slow float64) check.Expect {
	stretch := func(d time.Duration) time.Duration { return time.Duration(float64(d) * slow) }
	e.MaxRecovery = stretch(e.MaxRecovery)
	for i := range e.Subscriptions {
		e.Subscriptions[i].MaxRecovery = stretch(e.Subscriptions[i].MaxRecovery)
	}
	e.Slack = stretch(50 * time.Millisecond)
	return e
}
