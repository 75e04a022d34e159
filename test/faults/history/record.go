package history

import "time"

// Publish is one call to publish one event. A publisher that repeats an event makes a
// record for every call, all with the same ID.
type Publish struct {
	ID    string `json:"id"`
	Topic string `json:"topic"`
	Key   string `json:"key,omitzero"`
	// Seq is the event's place within its topic and key, from 1, in the order in which
	// the publisher first sent them. A repeat has the Seq of the first call. 0 means
	// that the event has no place in an order.
	Seq uint64 `json:"seq,omitzero"`
	// Repeat is 0 in the first call for the ID, and one more in each later call.
	Repeat uint32 `json:"repeat,omitzero"`
	// Deadline is the time that the call was given; 0 means no deadline.
	Deadline time.Duration `json:"deadline,omitzero"`
	Start    time.Duration `json:"start"`
	End      time.Duration `json:"end,omitzero"`
	Result   Result        `json:"result"`
	// Code is the gRPC code and Reason the reason of the ErrorInfo. Both are empty when
	// the answer is OK.
	Code   string `json:"code,omitzero"`
	Reason string `json:"reason,omitzero"`
}

// Answer is the answer to a call.
type Answer struct {
	Result Result
	Code   string
	Reason string
}

// Delivery is one delivery to a service, and the outcome that the service decided.
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
	// SettleErr is why the outcome may not have reached the sidecar; empty when it was
	// sent.
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

// Sample is the state of one process at one moment. 0 means that a value was not
// measured.
type Sample struct {
	Process    string        `json:"process"`
	At         time.Duration `json:"at"`
	RSS        uint64        `json:"rss,omitzero"`  // bytes
	Anon       uint64        `json:"anon,omitzero"` // bytes: RSS without pages of files
	Goroutines int           `json:"goroutines,omitzero"`
	FDs        int           `json:"fds,omitzero"`
}

// Fault is one disturbance, with the proof that it took effect.
type Fault struct {
	Name     string        `json:"name"`
	Injected time.Duration `json:"injected"` // just before it began
	// Healed is when service must begin to recover; recovery is measured from it. It is
	// the moment at which the fault was undone. A fault that service must survive while
	// it lasts (one of three nodes killed) counts as healed when it was proven. A fault
	// that hinders nobody, such as a poison message, is healed when it is injected.
	Healed time.Duration `json:"healed"`
	// Proof says what showed that the fault took effect: "pid 4711 is gone", "alarm
	// listed: memory". Empty means that nothing showed it.
	Proof string `json:"proof"`
	// InFlight is how many calls and deliveries were open when it was injected.
	InFlight int `json:"in_flight,omitzero"`
}

// Paths counts the events of one sidecar by the path they took through it, as its
// metric warren_path_messages_total did at the end of the run.
type Paths struct {
	Process string `json:"process"`
	// Publish counts tries to publish, Delivery settlements.
	Publish  Ways `json:"publish"`
	Delivery Ways `json:"delivery"`
	// Restarted means that the counts of an earlier process are missing.
	Restarted bool `json:"restarted,omitzero"`
}

// Ways are events that took the fast path, and events that took the slow one.
type Ways struct {
	Fast int `json:"fast"`
	Slow int `json:"slow"`
}

// Add adds the counts of o.
func (w *Ways) Add(o Ways) { w.Fast, w.Slow = w.Fast+o.Fast, w.Slow+o.Slow }

// Run is everything that one run recorded. Publishes, Deliveries and Samples are
// unordered.
type Run struct {
	Scenario string
	Seed     uint64
	Start    time.Time
	// Drained is when the load had ended and the queues were drained, or the wait for
	// that had ended. Later samples are of a process after the run. 0 means that it was
	// not recorded.
	Drained time.Duration

	Publishes   []Publish
	Deliveries  []Delivery
	DeadLetters []DeadLetter
	Leftovers   []Leftover
	Samples     []Sample
	Faults      []Fault
	Paths       []Paths
}
