package push

import (
	"context"
	"time"

	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
	"github.com/warrenmesh/warren/proxy/event"
)

// Handler is the service beside the sidecar, as events are pushed to it. It is safe for
// concurrent use.
type Handler interface {
	// Ready waits until the service is, and returns false when ctx ends first.
	Ready(ctx context.Context) bool
	// Handle hands an event over and returns what the service says of it, within ctx. The
	// trace context is that of ctx.
	Handle(ctx context.Context, h *delivery.Handed) Verdict
	Close() error
}

// Verdict is what a service says of an event that was pushed to it.
type Verdict struct {
	Outcome event.Outcome // Unsaid means Ack
	After   time.Duration // with Retry: when the service would like it
	Detail  string        // why
	Late    bool          // with Retry: it said nothing in time
	Away    bool          // with Retry: it was not there, and may not have seen the event
}

// outcome is what is done by a verdict, and the error that the process span ends with.
func (v Verdict) outcome() (settler.Outcome, error) {
	o := settler.Outcome{Kind: v.Outcome, After: max(0, v.After), Detail: settler.Clip(v.Detail)}
	switch {
	case v.Outcome == event.DeadLetter:
		o.Reason = settler.ReasonRejected
	case v.Outcome == event.Retry && v.Late:
		o.Reason = settler.ReasonAckDeadline
	case v.Outcome == event.Retry:
		o.Reason = settler.ReasonExhausted
	default:
		return settler.Outcome{Kind: event.Ack}, nil
	}
	return o, o.Err()
}
