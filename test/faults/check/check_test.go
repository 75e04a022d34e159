package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
)

func TestCheckFindsTheOneViolationInAHistory(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil   func(*history.Run)
		verdict string // the exact verdict
		words   string // text that the explanation contains
	}{
		"one lost in one subscription": {func(r *history.Run) { forget(r, audit, "b5") }, "I1", `lost: 1`},
		"one left in the queue": {func(r *history.Run) {
			forget(r, audit, "b5")
			r.Leftovers = append(r.Leftovers, history.Leftover{Subscription: audit, ID: "b5"})
		}, "I1", "still queued"},
		"one false OK": {func(r *history.Run) {
			forget(r, audit, "b5")
			forget(r, billing, "b5")
		}, "I1 I6", "false OK: 1"},
		"one that failed and was delivered": {func(r *history.Run) { publish(r, "b5").Result = history.Failed }, "I2", "failed for certain"},
		"one that nobody published":         {func(r *history.Run) { again(r, audit, "b5", true); last(r).ID = "b55" }, "I2", `"b55"`},
		"one altered on the way":            {func(r *history.Run) { deliveryTo(r, audit, "b5").Key = "a" }, "I2", "altered"},
		"one unflagged duplicate":           {func(r *history.Run) { again(r, audit, "b5", false) }, "I3", "without a flag: 1"},
		"more duplicates than in flight":    {func(r *history.Run) { again4(r, "b5", "b6", "b7", "b8") }, "I3", "4 duplicates, 3 were in flight"},
		"a retry that comes without a flag": {func(r *history.Run) {
			again(r, audit, "b5", false)
			deliveryTo(r, audit, "b5").Outcome = history.Retry
		}, "I3", "without a flag: 1"},
		"two of a key swapped":                        {func(r *history.Run) { swap(r, billing, "b5", "b6") }, "I4", `(key "b", seq 5) came at`},
		"one only ever unknown that came early":       {func(r *history.Run) { publish(r, "b6").Result = history.Unknown; swap(r, billing, "b5", "b6") }, "I4", `(key "b", seq 5) came at`},
		"one repeated until OK before the next began": {func(r *history.Run) { repeat(r, "b5", history.Unknown, ms); swap(r, billing, "b5", "b6") }, "I4", `(key "b", seq 5) came at`},
		"one before the last was settled":             {func(r *history.Run) { deliveryTo(r, billing, "b5").SettledAt = 70 * ms }, "I4", "seq 5 was not settled"},
		"two of a key confirmed out of order":         {func(r *history.Run) { publish(r, "c9").End = 96 * ms }, "I4", "confirmed after a newer one"},
		"one never acked, and gone":                   {func(r *history.Run) { unsettle(r, audit, "b5") }, "I5", "gone without an ack: 1"},
		"one dead-lettered into nothing":              {func(r *history.Run) { deliveryTo(r, audit, "b5").Outcome = history.Dead }, "I5", "in no queue"},
		"one late answer":                             {func(r *history.Run) { publish(r, "b10").End += 1046 * ms }, "I6", "after the deadline: 1"},
		"one call that never returned":                {func(r *history.Run) { publish(r, "b5").Result = history.Unanswered }, "I6", "never answered: 1"},
		"no fault at all":                             {func(r *history.Run) { r.Faults = nil }, "I0", "0 of 0 faults"},
		"a fault without proof":                       {func(r *history.Run) { r.Faults[0].Proof = "" }, "I0", "without proof"},
		"a fault that met nothing":                    {func(r *history.Run) { r.Faults[0].InFlight = 0 }, "I0", "at least 1 in flight"},
		"a fault whose count in flight is not true":   {func(r *history.Run) { r.Faults[0].Injected = 38 * ms; r.Faults[0].Healed = 39 * ms }, "I0", "at least 1 in flight"},
		"a fault that never healed":                   {func(r *history.Run) { r.Faults[0].Healed = 0 }, "I0", "never healed"},
		"nothing published":                           {func(r *history.Run) { r.Publishes, r.Deliveries = nil, nil }, "I0", "too few events"},
		"no key that two events share":                {func(r *history.Run) { unkey(r) }, "I0", "never put to the test"},
		"calls that were numbered wrongly":            {func(r *history.Run) { renumber(r, "b5", 6); renumber(r, "b6", 5) }, "I0", "not the order of the calls"},
		"no call after the fault":                     {func(r *history.Run) { r.Faults[0].Healed = 395 * ms }, "I0", "recovery was not measured"},
		"no samples":                                  {func(r *history.Run) { r.Samples = nil }, "I0", "not measured"},
		"no samples at the end":                       {func(r *history.Run) { r.Samples = r.Samples[:3] }, "I0", "0 at the end"},
		"a topic that comes back too late":            {func(r *history.Run) { later(r, 2*time.Second) }, "I7", "no OK on shop/orders for 2."},
		"a topic that does not come back":             {func(r *history.Run) { later(r, 2*time.Second); failFrom(r, time.Second) }, "I7", "did not recover"},
		"memory that grows":                           {func(r *history.Run) { grow(r, func(s *history.Sample) { s.Anon += 2 << 20 }) }, "I8", "from 20.0MiB to 22.0MiB"},
		"goroutines that grow":                        {func(r *history.Run) { grow(r, func(s *history.Sample) { s.Goroutines += 6 }) }, "I8", "from 50 to 56"},
		"descriptors that grow":                       {func(r *history.Run) { grow(r, func(s *history.Sample) { s.FDs += 6 }) }, "I8", "from 20 to 26"},
		"a dead letter that nothing asked for":        {func(r *history.Run) { dead(r, audit, "b5") }, "I6", `reason "attempts"`},
		"a peak of memory":                            {func(r *history.Run) { r.Samples[1].RSS = 65 << 20 }, "I8", "65.0MiB"},
		"a subscription that got nothing":             {func(r *history.Run) { r.Deliveries = slices.DeleteFunc(r.Deliveries, toAudit) }, "I1", "lost: 30"},
	} {
		run := made()
		test.spoil(run)
		want := demands()
		if strings.HasPrefix(name, "a dead letter that nothing") {
			want.Reasons = []string{"expired", "delivery-limit", "max-length"}
		}
		report := check.Check(run, want)
		var words strings.Builder
		report.Explain(&words)
		if report.Verdict() != test.verdict || !strings.Contains(words.String(), test.words) {
			t.Errorf("%s: verdict %q, want %q with %q:\n%s", name, report.Verdict(), test.verdict, test.words, &words)
		}
	}
}

func TestAllowedHistoriesPass(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*history.Run){
		"nothing":                             func(*history.Run) {},
		"a flagged duplicate":                 func(r *history.Run) { again(r, audit, "b5", true) },
		"a first copy with the flag":          func(r *history.Run) { deliveryTo(r, audit, "b5").Redelivered = true },
		"a dead letter instead of a delivery": func(r *history.Run) { forget(r, billing, "b5"); dead(r, billing, "b5") },
		"a dead letter that the service asked for": func(r *history.Run) {
			deliveryTo(r, billing, "b5").Outcome = history.Dead
			dead(r, billing, "b5")
		},
		"one that the broker gave up, and kept": func(r *history.Run) {
			forget(r, billing, "b5")
			r.DeadLetters = append(r.DeadLetters, history.DeadLetter{Subscription: billing, ID: "b5", Reason: "expired"})
		},
		"an event never settled, given up": func(r *history.Run) { unsettle(r, billing, "b5"); dead(r, billing, "b5") },
		"an ack whose way broke":           func(r *history.Run) { deliveryTo(r, audit, "b5").SettleErr = "stream is gone" },
		"an unknown event that is not delivered": func(r *history.Run) {
			publish(r, "b5").Result = history.Unknown
			forget(r, billing, "b5")
			forget(r, audit, "b5")
		},
		"an unknown event that comes late": func(r *history.Run) {
			publish(r, "b5").Result = history.Unknown
			d := deliveryTo(r, billing, "b5")
			d.At, d.SettledAt = 200*ms, 201*ms
		},
		"a certain failure, not delivered": func(r *history.Run) {
			publish(r, "b5").Result = history.Failed
			forget(r, billing, "b5")
			forget(r, audit, "b5")
		},
		"a repeat and its unflagged copy":  func(r *history.Run) { repeat(r, "b5", history.Unknown, ms); again(r, audit, "b5", false) },
		"a repeat after a certain failure": func(r *history.Run) { repeat(r, "b5", history.Failed, ms) },
		"a repeat behind a newer one, coming late": func(r *history.Run) {
			repeat(r, "b5", history.Unknown, 20*ms)
			d := deliveryTo(r, billing, "b5")
			d.At, d.SettledAt = 68*ms+1, 69*ms
		},
		"an event that newer ones of other keys overtook": func(r *history.Run) {
			d := deliveryTo(r, billing, "b5")
			d.At, d.SettledAt = 56*ms, 57*ms
		},
		"swapped events that have no place in an order": func(r *history.Run) { renumber(r, "b5", 0); renumber(r, "b6", 0); swap(r, billing, "b5", "b6") },
		"swapped events without order":                  func(r *history.Run) { swap(r, audit, "b5", "b6") },
		"two faults one after the other": func(r *history.Run) {
			r.Faults = append(r.Faults, history.Fault{Name: "cut", Injected: 82 * ms, Healed: 83 * ms, Proof: "p", InFlight: 1})
		},
		"two faults at once": func(r *history.Run) {
			r.Faults = append(r.Faults, history.Fault{Name: "cut", Injected: 44 * ms, Healed: 45 * ms, Proof: "p", InFlight: 1})
		},
		"one sample that stands out":       func(r *history.Run) { r.Samples[4].Anon, r.Samples[4].Goroutines = 60<<20, 1000 },
		"a slow answer without a deadline": func(r *history.Run) { publish(r, "b10").Deadline, publish(r, "b10").End = 0, 10*time.Second },
	} {
		run := made()
		spoil(run)
		if report := check.Check(run, demands()); !report.Passed() {
			var words strings.Builder
			report.Explain(&words)
			t.Errorf("%s: verdict %q:\n%s", name, report.Verdict(), &words)
		}
	}
}

func toAudit(d history.Delivery) bool { return d.Subscription == audit && d.ID != "" }

func last(r *history.Run) *history.Delivery { return &r.Deliveries[len(r.Deliveries)-1] }

func again4(r *history.Run, ids ...string) {
	for _, id := range ids {
		again(r, audit, id, true)
	}
}

func dead(r *history.Run, sub, id string) {
	r.DeadLetters = append(r.DeadLetters, history.DeadLetter{Subscription: sub, ID: id, Reason: "attempts", Attempts: 5})
}

func unsettle(r *history.Run, sub, id string) {
	d := deliveryTo(r, sub, id)
	d.Outcome, d.SettledAt = history.None, 0
}

// swap exchanges the deliveries of two events.
func swap(r *history.Run, sub, one, other string) {
	a, b := deliveryTo(r, sub, one), deliveryTo(r, sub, other)
	a.ID, a.Key, a.Seq, b.ID, b.Key, b.Seq = b.ID, b.Key, b.Seq, a.ID, a.Key, a.Seq
}

// renumber gives an event another seq in all records.
func renumber(r *history.Run, id string, seq uint64) {
	publish(r, id).Seq = seq
	for _, sub := range []string{billing, audit} {
		deliveryTo(r, sub, id).Seq = seq
	}
}

// unkey gives every event a key of its own.
func unkey(r *history.Run) {
	for i := range r.Publishes {
		r.Publishes[i].Key = r.Publishes[i].ID
	}
	for i := range r.Deliveries {
		r.Deliveries[i].Key = r.Deliveries[i].ID
	}
}

// later delays every record that began after the fault was healed.
func later(r *history.Run, by time.Duration) {
	healed := r.Faults[0].Healed
	for i := range r.Publishes {
		if p := &r.Publishes[i]; p.Start >= healed {
			p.Start, p.End = p.Start+by, p.End+by
		}
	}
	laterTo(r, "", by)
}

// laterTo delays the deliveries after the fault was healed: those to one subscription,
// or all for "".
func laterTo(r *history.Run, subscription string, by time.Duration) {
	for i := range r.Deliveries {
		d := &r.Deliveries[i]
		if d.At >= r.Faults[0].Healed && (subscription == "" || d.Subscription == subscription) {
			d.At, d.SettledAt = d.At+by, d.SettledAt+by
		}
	}
}

// failFrom makes unknown the answer of every call that began at or after at.
func failFrom(r *history.Run, at time.Duration) {
	for i := range r.Publishes {
		if p := &r.Publishes[i]; p.Start >= at {
			p.Result = history.Unknown
		}
	}
}

// grow changes the last samples.
func grow(r *history.Run, f func(*history.Sample)) {
	for i := range r.Samples {
		if r.Samples[i].At >= r.Drained {
			f(&r.Samples[i])
		}
	}
}
