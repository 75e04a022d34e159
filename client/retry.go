package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// Publisher publishes an event once. A Client and a Pipeline are Publishers.
type Publisher interface {
	// Publish returns after the broker's confirm, or with an *Error. It is safe for
	// concurrent use and does not change the event.
	Publish(ctx context.Context, topic string, event *eventsv1.CloudEvent) (*eventsv1.PublishResponse, error)
}

// Retry repeats publishes. The zero value is ready to use.
type Retry struct {
	// Timeout of one try; 0 means 5 s, which leaves the sidecar room for its own
	// retries.
	Timeout time.Duration
	// Backoff before the first repetition; it doubles up to 20 times that, with
	// jitter. 0 means 100 ms. A longer wait that the sidecar asks for is honoured.
	Backoff time.Duration
	// Notify is told of each failed try that is going to be repeated; nil means that
	// nobody wants to know. It must not block.
	Notify func(*Error)
}

// Publish publishes an event through p until it is confirmed and returns the answer
// and the number of tries. A failure that is Repeatable is repeated with the same
// event until ctx ends: without a deadline, for as long as it takes. Any other is
// returned at once. The error wraps the last
// *Error, and ctx's when that ended; once a try was of unknown outcome, the Outcome is
// Unknown, whatever later tries said.
func (r Retry) Publish(ctx context.Context, p Publisher, topic string, event *eventsv1.CloudEvent) (resp *eventsv1.PublishResponse, tries int, err error) {
	wait := newBackoff(r.Backoff)
	unknown := false
	for tries = 1; ; tries++ {
		resp, err := r.try(ctx, p, topic, event)
		if err == nil {
			return resp, tries, nil
		}
		var failure *Error
		if !errors.As(err, &failure) {
			failure = Explain(err, true)
		}
		if unknown = unknown || failure.Outcome == Unknown; unknown {
			again := *failure
			again.Outcome, failure = Unknown, &again
		}
		err = failure
		if ctx.Err() == nil && failure.Repeatable() {
			if r.Notify != nil {
				r.Notify(failure)
			}
			if sleep(ctx, max(wait.NextBackOff(), failure.RetryAfter)) == nil {
				continue
			}
		}
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
		return nil, tries, fmt.Errorf("publish event %q: %w", event.GetId(), err)
	}
}

func (r Retry) try(ctx context.Context, p Publisher, topic string, event *eventsv1.CloudEvent) (*eventsv1.PublishResponse, error) {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return p.Publish(ctx, topic, event)
}

// newBackoff doubles from base to 20 times base, with jitter. base 0 means 100 ms.
func newBackoff(base time.Duration) *backoff.ExponentialBackOff {
	if base == 0 {
		base = 100 * time.Millisecond
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = base
	wait.MaxInterval = 20 * base
	wait.Multiplier = 2
	return wait
}

// sleep waits for d and returns the reason when ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
