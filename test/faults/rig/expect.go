package rig

import (
	"slices"
	"strings"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
)

// prefetch is the default prefetch of a subscription.
const prefetch = 64

// Expect is the expectation of most scenarios; a scenario changes what differs. It does
// not demand ConfirmOrder: by the API's contract the results of a stream come in any
// order, so that a client that does not read does not block others. The order of
// deliveries shows the order in which events were confirmed.
func (w *World) Expect() check.Expect {
	e := check.Expect{
		Refused:     Odd,
		MaxRecovery: time.Second,
		MinInFlight: 1,
		// Messages that the broker had delivered and that, as far as it knew, were not
		// settled: each subscriber's prefetch, at every fault.
		MoreDuplicates: prefetch * max(len(w.Subscribers), 1) * w.faults,
		// A heap that grows once with the load is no leak; a second growth of that size
		// would be.
		Processes: []string{"checkout", Billing},
		Growth:    check.Growth{Memory: 24 << 20, Goroutines: 24, FDs: 12, PeakMemory: 256 << 20},
	}
	for _, s := range w.Declared.Subscriptions() {
		e.Subscriptions = append(e.Subscriptions, check.Subscription{
			Name: w.Namespace + "/" + s, Topics: []string{TopicOf(s)}, Ordered: s == Ledger || s == chain,
		})
	}
	return e
}

// Subscription returns the expectation of one subscription.
func (w *World) Subscription(e *check.Expect, name string) *check.Subscription {
	w.Helper()
	for i := range e.Subscriptions {
		if e.Subscriptions[i].Name == w.Namespace+"/"+name {
			return &e.Subscriptions[i]
		}
	}
	w.Fatalf("nothing is demanded of %s", name)
	return nil
}

// Odd reports whether a call must be refused. Some scenarios publish events that are
// not allowed, on topics of their own or with special ids.
func Odd(p *history.Publish) bool { return p.Seq == 0 && p.ID != Fits }

// Fits is the id of the event of exactly the largest allowed size.
const Fits = "large-fits"

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

// Flowed checks that no subscription stopped for long between two times. longest is the
// bound on an idle machine.
func (w *World) Flowed(from, until, longest time.Duration) {
	w.Helper()
	longest = time.Duration(float64(longest) * w.Slow)
	at := map[string][]time.Duration{}
	for _, d := range w.Recorder.Run().Deliveries {
		if d.At >= from && d.At <= until {
			at[d.Subscription] = append(at[d.Subscription], d.At)
		}
	}
	for _, s := range w.Subscriptions() {
		times := slices.Concat(at[s], []time.Duration{from, until})
		slices.Sort(times)
		var gap time.Duration
		for i := 1; i < len(times); i++ {
			gap = max(gap, times[i]-times[i-1])
		}
		w.Logf("%s: at most %v between two deliveries", s, gap.Round(time.Millisecond))
		if gap > longest {
			w.Errorf("%s stood still for %v", s, gap.Round(time.Millisecond))
		}
	}
}

// Drained checks that no queue has a message that is redelivered endlessly.
func (w *World) Drained() {
	w.Helper()
	if !w.Within(w.Slowly(20*time.Second), func() bool { return w.rest() == 0 }) {
		w.Errorf("%d messages are in queues that should be empty: they are redelivered in a loop", w.rest())
	}
}

// Saw reports whether a publish was answered with a reason.
func (w *World) Saw(reason string) bool {
	for _, p := range w.Recorder.Run().Publishes {
		if p.Reason == reason {
			return true
		}
	}
	return false
}

// AllOK checks that every publish was confirmed.
func (w *World) AllOK(otherwise string) {
	w.Helper()
	for _, p := range w.Recorder.Run().Publishes {
		if p.Result != history.OK {
			w.Errorf("%s: %s is %v, %s %s", otherwise, p.ID, p.Result, p.Code, p.Reason)
			return
		}
	}
}

// P99 is the 99th percentile of the load's unary calls in an interval.
func (w *World) P99(from, until time.Duration) time.Duration { return w.P99Of("u", from, until) }

// P99Of is the 99th percentile of the calls of publishers whose names begin with name.
func (w *World) P99Of(name string, from, until time.Duration) time.Duration {
	var took []time.Duration
	for _, p := range w.Recorder.Run().Publishes {
		if strings.HasPrefix(p.Key, name) && p.Start >= from && p.End > 0 && p.End < until {
			took = append(took, p.End-p.Start)
		}
	}
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// FirstLine returns a text up to its first line break.
func FirstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
