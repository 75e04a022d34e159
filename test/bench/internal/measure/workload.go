// Package measure measures one phase: one workload of one target. It counts messages,
// CPU time and latencies, and checks the books: every message was confirmed, and is in
// the queue or was received exactly once.
//
// A Workload says what to do, a Target how, and Phases.Measure does it and returns a
// Sample. Meter reads the CPU time of all processes of the comparison, so that what
// others used is known too. It uses packages load, proc and stat, and compares nothing.
//
//	phases := measure.New(meter, channel, measure.Options{Measured: time.Second})
//	sample, err := phases.Measure(ctx, target, measure.Workload{Name: "unary64", Kind: measure.Unary, N: 64})
package measure

import (
	"context"
	"slices"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// Kind is what a workload does.
type Kind int

// Kinds of workloads.
const (
	Unary    Kind = iota + 1 // N callers, each waits for its confirm
	Stream                   // at most N unconfirmed
	Batch                    // one call of N messages after the other
	Drain                    // receive the messages of a full queue
	EndToEnd                 // publish as a stream of at most N unconfirmed, and receive at the same time
)

// Workload is one thing that is measured.
type Workload struct {
	Name    string
	Kind    Kind
	N       int // callers, the window, or the size of a batch
	Streams int // that publish, each with a window of N; 0 means 1
	Rate    int // messages a second of an open loop; 0: as fast as possible
	Size    int // of a body in bytes; 0 means load.DefaultSize
}

func (w Workload) feed(limit int) *load.Feed {
	return load.NewFeed(load.Shape{Limit: limit, Size: w.Size, Rate: w.Rate})
}

func (w Workload) publish(ctx context.Context, t *Target, feed *load.Feed) error {
	switch w.Kind {
	case Unary:
		return t.Unary(ctx, w.N, feed)
	case Batch:
		return t.Batch(ctx, w.N, feed)
	default:
		return t.Stream(ctx, max(w.Streams, 1), w.N, feed)
	}
}

// Target is a load.Target with what Phases needs to know about it.
type Target struct {
	load.Target
	Name   string
	Queues []string
	// Publisher and Subscriber are the processes of its sidecars; 0 when it has none, or
	// when it is unknown.
	Publisher, Subscriber int
	// Log returns the end of the logs of its programs; nil means that it has none.
	Log func() string
}

// sidecars are the processes that work in w.
func (t *Target) sidecars(w Workload) (pids []int) {
	publishes, receives := w.Kind != Drain, w.Kind == Drain || w.Kind == EndToEnd
	if publishes && t.Publisher > 0 {
		pids = append(pids, t.Publisher)
	}
	if receives && t.Subscriber > 0 && !slices.Contains(pids, t.Subscriber) {
		pids = append(pids, t.Subscriber)
	}
	return pids
}
