package history

import "time"

// Publish is one call to publish one event. A publisher that repeats an event makes
// a record for every call, all with one ID.
type Publish struct {
	ID    string `json:"id"`
	Topic string `json:"topic"`
	Key   string `json:"key,omitzero"`
	// Seq is the event's place within its topic and key, from 1, in the order the
	// publisher first sent them. A repeat has the Seq of the first call. 0 means
	// that the event has no place in any order.
	Seq uint64 `json:"seq,omitzero"`
	// Repeat is 0 in the first call for the ID and counts up.
	Repeat uint32 `json:"repeat,omitzero"`
	// Deadline is the time that the call was given; 0 means no deadline.
	Deadline time.Duration `json:"deadline,omitzero"`
	Start    time.Duration `json:"start"`
	End      time.Duration `json:"end,omitzero"`
	Result   Result        `json:"result"`
	// Code is the gRPC code and Reason the reason of the ErrorInfo; empty when OK.
	Code   string `json:"code,omitzero"`
	Reason string `json:"reason,omitzero"`
}

// Answer is what the caller was told.
type Answer struct {
	Result Result
	Code   string
	Reason string
}

// Delivery is one event that a service was handed, and the service's outcome for it.
type Delivery struct {
	Subscription string `json:"subscription"`
	Consumer     string `json:"consumer,omitzero"`
	ID           string `json:"id"`
	// Key and Seq are read from the event itself.
	Key         string        `json:"key,omitzero"`
	Seq         uint64        `json:"seq,omitzero"`
	At          time.Duration `json:"at"`
	Attempt     uint32        `json:"attempt"`
	Redelivered bool          `json:"redelivered,omitzero"`
	Outcome     Outcome       `json:"outcome,omitzero"`
	SettledAt   time.Duration `json:"settled_at,omitzero"`
	// SettleErr is why the outcome may not have reached the sidecar; empty when it
	// was handed over.
	SettleErr string `json:"settle_err,omitzero"`
}

// DeadLetter is one event found in a dead-letter queue at the end.
type DeadLetter struct {
	Subscription string `json:"subscription"`
	ID           string `json:"id"`
	Reason       string `json:"reason,omitzero"`
	Attempts     uint32 `json:"attempts,omitzero"`
}

// Leftover is one event still in a subscription's queue when the run ended.
type Leftover struct {
	Subscription string `json:"subscription"`
	ID           string `json:"id"`
}

// Sample is the state of one process at one moment. A value that was not measured
// is 0.
type Sample struct {
	Process    string        `json:"process"`
	At         time.Duration `json:"at"`
	RSS        uint64        `json:"rss,omitzero"`  // bytes
	Anon       uint64        `json:"anon,omitzero"` // bytes: RSS without pages of files
	Goroutines int           `json:"goroutines,omitzero"`
	FDs        int           `json:"fds,omitzero"`
}

// Fault is one disturbance, and the proof that it was one.
type Fault struct {
	Name     string        `json:"name"`
	Injected time.Duration `json:"injected"` // just before it was begun
	// Healed is when service is due again, and recovery is counted from it: the
	// moment at which the fault was undone, or, of a fault that is to be survived
	// while it lasts (one of three nodes killed), at which it was proven.
	// A fault that hinders nobody, such as a poison message, heals as it is injected.
	Healed time.Duration `json:"healed"`
	// Proof says what showed that the fault took hold: "pid 4711 is gone",
	// "alarm listed: memory". Empty means that nothing did.
	Proof string `json:"proof"`
	// InFlight is how many calls and deliveries were open when it was injected.
	InFlight int `json:"in_flight,omitzero"`
}

// Run is everything one run recorded. Publishes, Deliveries and Samples are in no
// particular order.
type Run struct {
	Scenario string
	Seed     uint64
	Start    time.Time
	// Drained is when the load had ended and the queues were empty or given up;
	// samples from then on say how a process was left. 0 means not recorded.
	Drained time.Duration

	Publishes   []Publish
	Deliveries  []Delivery
	DeadLetters []DeadLetter
	Leftovers   []Leftover
	Samples     []Sample
	Faults      []Fault
}
