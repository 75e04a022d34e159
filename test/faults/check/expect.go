package check

import (
	"time"

	"github.com/warrenmesh/warren/test/faults/history"
)

const (
	defaultSlack    = 50 * time.Millisecond
	defaultExamples = 5
)

// Expect says what a scenario demands in addition to the invariants. The zero value
// demands one proven fault and judges no subscription, recovery or growth.
type Expect struct {
	// Subscriptions must get the events they want. Deliveries to other subscriptions
	// are judged too, but no event is owed to those.
	Subscriptions []Subscription
	// Refused selects the calls that must be answered Failed, such as unroutable or
	// oversized events. nil means none.
	Refused func(*history.Publish) bool
	// ConfirmOrder demands that the OK answers of one key come in the order of the
	// calls. It is for publishers that read their answers from one stream, or wait for
	// each answer.
	ConfirmOrder bool
	// Slack is how long after its deadline a call may be answered; 0 means 50ms.
	Slack time.Duration
	// MoreDuplicates is how many duplicates each subscription may get in addition to
	// one for each call or delivery in flight at a fault. A negative value means any
	// number.
	MoreDuplicates int
	// MaxRecovery bounds the time from the healing of a fault to the first OK of a
	// topic and the first delivery of a subscription. 0 means that it is measured but
	// not judged.
	MaxRecovery time.Duration
	// Void lists topics without a queue. None of their calls is answered OK, so they do
	// not show when service resumes.
	Void []string
	// Reasons are the allowed reasons of dead letters; nil means any. Warren promises
	// to dead-letter an event only if something asks for it.
	Reasons []string
	// AllowLeft accepts events that are still queued after the drain.
	AllowLeft bool
	// MinFaults is how many faults must have found at least MinInFlight calls and
	// deliveries in flight. 0 means 1. Every fault needs a proof in any case.
	MinFaults   int
	MinInFlight int
	// SlowPublishes demands that some publishes took the slow path, because the fault makes
	// them repeat. Which other paths must run follows from the history.
	SlowPublishes bool
	// MinEvents is how many events must have been published; 0 means 1.
	MinEvents int
	// Growth bounds how much each process may grow during the run.
	Growth Growth
	// Processes names the processes whose growth is judged; empty means all.
	Processes []string
	// Examples is how many violations of one kind are explained; 0 means 5.
	Examples int
}

// Subscription is a subscription that must get the events it wants.
type Subscription struct {
	Name string
	// Topics it gets events of; empty means every topic.
	Topics []string
	// Wants says which events of those topics pass its filters; nil means all.
	Wants func(*history.Publish) bool
	// MaxRecovery bounds the first delivery of this subscription; 0 means the
	// MaxRecovery of Expect.
	MaxRecovery time.Duration
	// Ordered demands order by key.
	Ordered bool
	// Destroyed selects events that may be missing because the fault destroyed them in
	// the broker, for example with a deleted queue; nil means none. It is called with
	// the first call answered OK, or with the first call when there is none.
	Destroyed func(*history.Publish) bool
}

// Growth bounds the growth of a process. A zero field is not judged.
type Growth struct {
	Memory     uint64 // in bytes; anonymous memory where that was measured
	Goroutines int
	FDs        int
	// PeakMemory bounds the largest resident set at any time, in bytes.
	PeakMemory uint64
}

func (e *Expect) setDefaults() {
	if e.Slack == 0 {
		e.Slack = defaultSlack
	}
	if e.Examples == 0 {
		e.Examples = defaultExamples
	}
	e.MinFaults = max(e.MinFaults, 1)
	e.MinEvents = max(e.MinEvents, 1)
}

// wants reports whether the subscription is owed the event of p.
func (s *Subscription) wants(p *history.Publish) bool {
	if s.Wants != nil && !s.Wants(p) {
		return false
	}
	for _, t := range s.Topics {
		if t == p.Topic {
			return true
		}
	}
	return len(s.Topics) == 0
}

// destroyed reports whether the event may be missing. Any event may be missing in a
// subscription without expectations.
func (s *Subscription) destroyed(e *event) bool {
	return s != nil && s.Destroyed != nil && s.Destroyed(e.certain())
}
