package events

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// Publisher publishes events until they are confirmed.
type Publisher struct {
	// Client of the sidecar.
	Client eventsv1.EventServiceClient
	// Timeout of one call; 0 means 5 s.
	Timeout time.Duration
	// Backoff before the first repetition; it doubles up to 20 times that. 0 means
	// 100 ms. A longer wait asked for by the sidecar (RetryInfo) is honoured.
	Backoff time.Duration
}

// Publish sends one event and returns the sidecar's answer and the number of
// calls it took. A failure that may pass, or whose outcome is unknown, is repeated
// with the same event until ctx ends: the id stays, so receivers can tell a
// repetition from a new event. Any other failure is returned at once.
func (p *Publisher) Publish(ctx context.Context, topic string, event *eventsv1.CloudEvent) (*eventsv1.PublishResponse, int, error) {
	return untilConfirmed(ctx, event.GetId(), newBackoff(p.Backoff), func() (*eventsv1.PublishResponse, error) {
		return p.try(ctx, topic, event)
	})
}

// untilConfirmed repeats a try as long as that may help.
func untilConfirmed(ctx context.Context, id string, wait *backoff.ExponentialBackOff, try func() (*eventsv1.PublishResponse, error)) (*eventsv1.PublishResponse, int, error) {
	for attempt := 1; ; attempt++ {
		resp, err := try()
		if err == nil {
			return resp, attempt, nil
		}
		if ctx.Err() != nil {
			return nil, attempt, fmt.Errorf("publish event %q: %w: %w", id, ctx.Err(), err)
		}
		if !repeatable(err) {
			return nil, attempt, fmt.Errorf("publish event %q: %w", id, err)
		}
		delay := max(wait.NextBackOff(), askedDelay(err))
		if err := sleep(ctx, delay); err != nil {
			return nil, attempt, fmt.Errorf("publish event %q: %w", id, err)
		}
	}
}

func (p *Publisher) try(ctx context.Context, topic string, event *eventsv1.CloudEvent) (*eventsv1.PublishResponse, error) {
	timeout := p.Timeout
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return p.Client.Publish(ctx, &eventsv1.PublishRequest{Topic: topic, Event: event})
}

// repeatable tells whether the same event should be sent again: the sidecar or
// the broker is away (UNAVAILABLE, whatever the outcome was), no answer came in
// time, or the sidecar asks to slow down.
func repeatable(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted:
		return true
	default:
		return false
	}
}

// statusError is the error of one result of a stream; nil means OK.
func statusError(s *eventsv1.Status) error {
	return status.ErrorProto(&statuspb.Status{Code: s.GetCode(), Message: s.GetMessage(), Details: s.GetDetails()})
}

// askedDelay is the RetryInfo of an error, or 0.
func askedDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
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
