package check_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
)

// world makes random histories that keep every invariant. They contain failed, unknown
// and repeated calls, copies by repeats, retries and redelivery, and dead letters.
type world struct {
	*rand.Rand
	run *history.Run
	// free is, by key, the time until which the ordered subscription is busy with the
	// key.
	free time.Duration
}

const calls = 40 // events a key

func random(seed uint64, keys int) *history.Run {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), run: &history.Run{Scenario: "random", Seed: seed}}
	for k := range keys {
		w.key(fmt.Sprint("k", k))
	}
	hit := w.run.Publishes[w.IntN(calls/2)] // early in the first key
	w.run.Faults = []history.Fault{{Name: "cut", Injected: hit.Start + 1, Healed: hit.Start + ms, Proof: "bytes were cut", InFlight: 1}}
	w.run.Drained = time.Minute
	for i := range 10 {
		s := history.Sample{Process: "sidecar", At: time.Duration(i) * 10 * time.Second, RSS: 40<<20 + w.Uint64N(1<<19), Goroutines: 50 + w.IntN(5), FDs: 20 + w.IntN(5)}
		if i == 0 {
			s.At = 0
		}
		w.run.Samples = append(w.run.Samples, s)
	}
	w.Shuffle(len(w.run.Publishes), swapper(w.run.Publishes))
	w.Shuffle(len(w.run.Deliveries), swapper(w.run.Deliveries))
	return w.run
}

func swapper[T any](s []T) func(i, j int) { return func(i, j int) { s[i], s[j] = s[j], s[i] } }

func (w *world) upTo(d time.Duration) time.Duration { return 1 + time.Duration(w.Int64N(int64(d))) }

// key publishes the events of one key, each after the answer to the one before.
func (w *world) key(key string) {
	now := w.upTo(5 * ms)
	w.free = 0
	for seq := range uint64(calls) {
		p := history.Publish{ID: fmt.Sprint(key, "-", seq+1), Topic: topic, Key: key, Seq: seq + 1, Deadline: time.Second}
		var written []time.Duration // when each copy was written
		for p.Result = history.Unanswered; p.Result != history.OK && p.Repeat < 4; p.Repeat++ {
			p.Start, p.End = now, now+w.upTo(5*ms)
			p.Result = w.result()
			if p.Result == history.OK || p.Result == history.Unknown && w.IntN(2) == 0 {
				written = append(written, p.End)
			}
			w.run.Publishes = append(w.run.Publishes, p)
			now = p.End + w.upTo(5*ms)
		}
		if len(written) == 0 {
			continue
		}
		w.deliver(&p, written, billing, true)
		w.deliver(&p, written, audit, false)
	}
}

func (w *world) result() history.Result {
	switch n := w.IntN(20); {
	case n < 15:
		return history.OK
	case n < 18:
		return history.Unknown
	default:
		return history.Failed
	}
}

// deliver delivers the copies of an event to a subscription until the last one is
// settled.
func (w *world) deliver(p *history.Publish, written []time.Duration, sub string, ordered bool) {
	if w.IntN(50) == 0 {
		w.run.DeadLetters = append(w.run.DeadLetters, history.DeadLetter{Subscription: sub, ID: p.ID, Reason: "key-held"})
		return
	}
	for _, at := range written {
		at += w.upTo(5 * ms)
		if ordered {
			at = max(at, w.free)
		}
		d := history.Delivery{Subscription: sub, ID: p.ID, Key: p.Key, Seq: p.Seq, Attempt: 1, Redelivered: w.IntN(50) == 0}
		for d.Outcome = history.None; d.Outcome == history.None || d.Outcome == history.Retry; at = d.At + w.upTo(10*ms) {
			d.At, d.Outcome, d.SettledAt = at, w.outcome(), 0
			if d.Outcome != history.None {
				d.SettledAt = d.At + w.upTo(3*ms)
			}
			w.run.Deliveries = append(w.run.Deliveries, d)
			d.Redelivered = true
			d.Attempt++
			d.At = max(d.At, d.SettledAt)
		}
		if d.Outcome == history.Dead {
			w.run.DeadLetters = append(w.run.DeadLetters, history.DeadLetter{Subscription: sub, ID: p.ID})
		}
		if ordered {
			w.free = d.SettledAt + 1
		}
	}
}

func (w *world) outcome() history.Outcome {
	switch n := w.IntN(40); {
	case n < 34:
		return history.Ack
	case n < 37:
		return history.Retry
	case n < 39:
		return history.None
	default:
		return history.Dead
	}
}

func lenient() check.Expect {
	e := demands()
	e.MoreDuplicates = -1
	return e
}

func TestCorrectRandomHistoriesPass(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		if report := check.Check(random(seed, 8), lenient()); !report.Passed() {
			var words strings.Builder
			report.Explain(&words)
			t.Fatalf("seed %d: %s\n%s", seed, report.Verdict(), &words)
		}
	}
}

func TestCheckFindsTheOneViolationInARandomHistory(t *testing.T) {
	t.Parallel()
	for name, m := range mutations {
		for seed := range uint64(10) {
			run := random(seed, 8)
			m.spoil(run, certainly(run, rand.New(rand.NewPCG(seed, 2))))
			report := check.Check(run, lenient())
			if !report.Broken(m.breaks) {
				t.Errorf("%s, seed %d: verdict %q, want %v", name, seed, report.Verdict(), m.breaks)
			}
			if n := count(report, m.breaks); n != 1 && !m.many {
				t.Errorf("%s, seed %d: %v was broken %d times by one change", name, seed, m.breaks, n)
			}
		}
	}
}

// mutations each break one thing around the event with the given id.
var mutations = map[string]struct {
	breaks check.Invariant
	many   bool // one change causes several violations
	spoil  func(*history.Run, string)
}{
	"lost":              {check.I1Lost, false, func(r *history.Run, id string) { forget(r, audit, id) }},
	"false OK":          {check.I6Honest, false, func(r *history.Run, id string) { forget(r, audit, id); forget(r, billing, id) }},
	"failed, delivered": {check.I2Nowhere, true, func(r *history.Run, id string) { publish(r, id).Result = history.Failed }},
	"altered":           {check.I2Nowhere, false, func(r *history.Run, id string) { deliveryTo(r, audit, id).Seq += 100 }},
	"from nowhere":      {check.I2Nowhere, false, func(r *history.Run, id string) { again(r, audit, id, true); last(r).ID = "nobody's" }},
	"unflagged":         {check.I3Duplicates, false, func(r *history.Run, id string) { again(r, audit, id, false) }},
	"swapped":           {check.I4Order, false, func(r *history.Run, id string) { swap(r, billing, id, follower(r, id)) }},
	"not settled": {check.I4Order, false, func(r *history.Run, id string) {
		deliveryTo(r, billing, id).SettledAt = deliveryTo(r, billing, follower(r, id)).At + 1
	}},
	"confirmed too late": {check.I4Order, false, func(r *history.Run, id string) { publish(r, id).End = publish(r, follower(r, id)).End + 1 }},
	"gone without ack":   {check.I5Acks, false, func(r *history.Run, id string) { unsettle(r, audit, id) }},
	"late":               {check.I6Honest, false, func(r *history.Run, id string) { publish(r, id).End += 1051 * ms }},
	"unanswered":         {check.I6Honest, false, func(r *history.Run, id string) { publish(r, id).Result = history.Unanswered }},
	"no proof":           {check.I0Proof, true, func(r *history.Run, _ string) { r.Faults[0].Proof = "" }},
	"no recovery":        {check.I7Recovery, true, func(r *history.Run, _ string) { later(r, 2*time.Second) }},
	"growth":             {check.I8Growth, false, func(r *history.Run, _ string) { grow(r, func(s *history.Sample) { s.RSS += 2 << 20 }) }},
}

func count(r *check.Report, i check.Invariant) int {
	n := 0
	for _, v := range r.Violations {
		if v.Invariant == i {
			n += v.Count
		}
	}
	return n
}

// certainly picks an event that was OK at the first call and that each subscription got
// exactly once, acked and without a flag. The next event of its key must be of the same
// kind.
func certainly(r *history.Run, random *rand.Rand) string {
	seen := map[string]int{}
	for _, p := range r.Publishes {
		seen[p.ID] += 10
		if p.Result == history.OK {
			seen[p.ID]++
		}
	}
	for _, d := range r.Deliveries {
		seen[d.ID] += 100
		if d.Outcome == history.Ack && !d.Redelivered {
			seen[d.ID] += 1000
		}
	}
	var plain []string
	for id, n := range seen {
		if n == 2211 && seen[follower(r, id)] == 2211 {
			plain = append(plain, id)
		}
	}
	slices.Sort(plain)
	return plain[random.IntN(len(plain))]
}

// follower returns the id of the next event of the key.
func follower(r *history.Run, id string) string {
	p := publish(r, id)
	return fmt.Sprint(p.Key, "-", p.Seq+1)
}
