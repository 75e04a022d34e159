package check

import (
	"time"

	"github.com/warrenmesh/warren/test/faults/history"
)

const (
	defaultSlack    = 50 * time.Millisecond
	defaultExamples = 5
)

// Expect says what a scenario demands beyond what always holds. The zero value
// demands one proven fault and judges no subscription, recovery or growth.
type Expect struct {
	// Subscriptions that must get what they want. Deliveries to others are judged
	// too, but nothing is owed to those.
	Subscriptions []Subscription
	// Refused says which calls can only fail, as an unroutable or oversized event
	// does: each must be answered Failed. nil means none.
	Refused func(*history.Publish) bool
	// ConfirmOrder demands that OK answers of one key come in the order of the calls.
	// For publishers that read their answers on one stream, or wait for each.
	ConfirmOrder bool
	// Slack is what a call may take beyond its deadline; 0 means 50ms.
	Slack time.Duration
	// MoreDuplicates is how many duplicates each subscription may get beyond one for
	// each call or delivery in flight at a fault; negative means any number.
	MoreDuplicates int
	// MaxRecovery bounds the time from a fault's healing to the first OK of a topic
	// and the first delivery of a subscription; 0 means measured, not judged.
	MaxRecovery time.Duration
	// Void are topics that no queue listens to, so that none of their calls is answered OK:
	// they do not show when service resumes.
	Void []string
	// Reasons are those for which an event may be a dead letter; nil means any. A dead
	// letter is an end that was promised only where something asks for it.
	Reasons []string
	// AllowLeft accepts events that are still queued after the drain.
	AllowLeft bool
	// MinFaults is how many faults must have found at least MinInFlight calls and
	// deliveries in flight. 0 means 1; every fault needs a proof in any case.
	MinFaults   int
	MinInFlight int
	// MinEvents is how many events must have been published; 0 means 1.
	MinEvents int
	// Growth bounds how much more each process may have after the run than before.
	Growth Growth
	// Processes are the names of those whose growth is judged; empty means all.
	Processes []string
	// Examples is how many violations of one kind are told in words; 0 means 5.
	Examples int
}

// Subscription is one that must get what it wants.
type Subscription struct {
	Name string
	// Topics it gets events of; empty means every topic.
	Topics []string
	// Wants says which events of those topics pass its filters; nil means all.
	Wants func(*history.Publish) bool
	// MaxRecovery bounds this one's first delivery, where Expect's MaxRecovery does not
	// fit; 0 means that one.
	MaxRecovery time.Duration
	// Ordered demands order by key.
	Ordered bool
	// Destroyed says which events may be missing because the fault destroyed them in
	// the broker, as when a queue is deleted with what it held; nil means none. It is
	// asked with the first call answered OK, else with the first call.
	Destroyed func(*history.Publish) bool
}

// Growth bounds growth. A zero field is not judged.
type Growth struct {
	Memory     uint64 // bytes, anonymous where that was measured
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

// wants says whether the subscription is owed the event of p.
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

// destroyed says whether the event may be missing. Nothing may be in a subscription
// without expectations.
func (s *Subscription) destroyed(e *event) bool {
	return s != nil && s.Destroyed != nil && s.Destroyed(e.certain())
}
