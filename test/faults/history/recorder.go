package history

import (
	"sync"
	"sync/atomic"
	"time"
)

// Recorder collects the records of a run. All methods may be called concurrently; none
// blocks for longer than an append takes. Its memory grows with the number of records.
type Recorder struct {
	scenario   string
	seed       uint64
	start      time.Time
	publishes  log[Publish]
	deliveries log[Delivery]
	calls      atomic.Int64 // unanswered
	held       atomic.Int64 // without an outcome
	confirmed  atomic.Int64 // calls answered OK
	delivered  atomic.Int64

	mu   sync.Mutex // guards rare
	rare Run        // records that are rare: everything but publishes and deliveries
}

// New returns a recorder whose run starts now.
func New(scenario string, seed uint64) *Recorder {
	return &Recorder{scenario: scenario, seed: seed, start: time.Now()}
}

// Now returns the time since the run's start.
func (r *Recorder) Now() time.Duration { return time.Since(r.start) }

// Call is a publish call that has begun. The zero Call is no call. It may be answered
// once.
type Call struct{ entry[Publish] }

// Receipt is a recorded delivery that may be settled. The zero Receipt is no delivery.
type Receipt struct{ entry[Delivery] }

// Begin records a call that is about to be made, without an answer, and the time of its
// start.
func (r *Recorder) Begin(p Publish) Call {
	p.Start, p.End, p.Result = r.Now(), 0, Unanswered
	r.calls.Add(1)
	return Call{r.publishes.add(p.ID, p)}
}

// Answer records the answer of a call and the time of its end. A second answer to the
// same call replaces the first.
func (r *Recorder) Answer(c Call, a Answer) {
	now := r.Now()
	c.update(func(p *Publish) {
		if p.Result == Unanswered && a.Result != Unanswered {
			r.calls.Add(-1)
			if a.Result == OK {
				r.confirmed.Add(1)
			}
		}
		p.End, p.Result, p.Code, p.Reason = now, a.Result, a.Code, a.Reason
	})
}

// Deliver records a delivery and its time.
func (r *Recorder) Deliver(d Delivery) Receipt {
	d.At = r.Now()
	r.held.Add(1)
	r.delivered.Add(1)
	return Receipt{r.deliveries.add(d.ID, d)}
}

// Settle records the outcome that the service decided, and err when it could not be
// sent. Call it before the outcome is sent and, when sending fails, again with the
// error. Then an outcome that the sidecar acted on is never missing, nor later than its
// effects. The time of the first call stays.
func (r *Recorder) Settle(d Receipt, o Outcome, err error) {
	now := r.Now()
	d.update(func(d *Delivery) {
		if d.Outcome == None && o != None {
			r.held.Add(-1)
		}
		if d.SettledAt == 0 {
			d.SettledAt = now
		}
		d.Outcome = o
		if err != nil {
			d.SettleErr = err.Error()
		}
	})
}

// DeadLetter records an event found in a dead-letter queue.
func (r *Recorder) DeadLetter(d DeadLetter) {
	r.seldom(func(run *Run) { run.DeadLetters = append(run.DeadLetters, d) })
}

// Left records an event still in a subscription's queue at the end.
func (r *Recorder) Left(l Leftover) {
	r.seldom(func(run *Run) { run.Leftovers = append(run.Leftovers, l) })
}

// Sample records the state of a process and the time.
func (r *Recorder) Sample(s Sample) {
	s.At = r.Now()
	r.seldom(func(run *Run) { run.Samples = append(run.Samples, s) })
}

// Paths records which paths the events of a sidecar took.
func (r *Recorder) Paths(p Paths) {
	r.seldom(func(run *Run) { run.Paths = append(run.Paths, p) })
}

// Fault records a fault. Its times come from Now.
func (r *Recorder) Fault(f Fault) {
	r.seldom(func(run *Run) { run.Faults = append(run.Faults, f) })
}

// Prove replaces the proof of the recorded fault that was injected at the same time as
// f. It does nothing when there is none.
func (r *Recorder) Prove(f Fault) {
	r.seldom(func(run *Run) {
		for i := range run.Faults {
			if run.Faults[i].Injected == f.Injected {
				run.Faults[i].Proof = f.Proof
			}
		}
	})
}

// Drained records the end of the drain.
func (r *Recorder) Drained() {
	now := r.Now()
	r.seldom(func(run *Run) { run.Drained = now })
}

// OpenCalls returns how many calls are unanswered now.
func (r *Recorder) OpenCalls() int { return int(r.calls.Load()) }

// OpenDeliveries returns how many deliveries have no outcome now, including deliveries
// to services that died.
func (r *Recorder) OpenDeliveries() int { return int(r.held.Load()) }

// Confirmed returns how many calls were answered OK so far.
func (r *Recorder) Confirmed() int { return int(r.confirmed.Load()) }

// Delivered returns how many deliveries were recorded so far.
func (r *Recorder) Delivered() int { return int(r.delivered.Load()) }

// Run returns a copy of everything recorded so far.
func (r *Recorder) Run() *Run {
	run := &Run{Scenario: r.scenario, Seed: r.seed, Start: r.start, Publishes: r.publishes.all(), Deliveries: r.deliveries.all()}
	r.seldom(func(rare *Run) {
		run.Drained = rare.Drained
		run.DeadLetters = append(run.DeadLetters, rare.DeadLetters...)
		run.Leftovers = append(run.Leftovers, rare.Leftovers...)
		run.Samples = append(run.Samples, rare.Samples...)
		run.Faults = append(run.Faults, rare.Faults...)
		run.Paths = append(run.Paths, rare.Paths...)
	})
	return run
}

func (r *Recorder) seldom(f func(*Run)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.rare)
}
