// Package one helps tests that handle messages one by one. A test publishes one message and
// asks for its outcome later, or gets one delivery after the other.
package one

import (
	"context"

	"github.com/warrenmesh/warren/proxy/broker"
)

// Receipt is the pending outcome of one publish.
type Receipt struct {
	outcome chan error // cap 1
	give    context.CancelCauseFunc
}

// Publish publishes m with a driver's Publish and returns when that returns; ctx bounds
// this call only. An error means that nothing was written.
func Publish[M any](ctx context.Context, publish func(context.Context, []M, broker.Told), m M) (*Receipt, error) {
	life, give := context.WithCancelCause(context.WithoutCancel(ctx))
	r := &Receipt{outcome: make(chan error, 1), give: give}
	if ctx.Err() != nil {
		give(context.Cause(ctx)) // AfterFunc would do it too late
	}
	stop := context.AfterFunc(ctx, func() { give(context.Cause(ctx)) })
	publish(life, []M{m}, func(_, _ int, err error) { r.outcome <- err })
	stop()
	select {
	case err := <-r.outcome:
		if err != nil && broker.OutcomeOf(err) == broker.NotSent {
			give(nil)
			return nil, err
		}
		r.outcome <- err
	default:
	}
	return r, nil
}

// Wait returns the outcome. When ctx ends first, the publish's context ends too, and Wait
// returns what the driver says then. It may be called once.
func (r *Receipt) Wait(ctx context.Context) error {
	defer r.give(nil)
	select {
	case err := <-r.outcome:
		return err
	case <-ctx.Done():
		r.give(context.Cause(ctx))
		return <-r.outcome
	}
}

// Each makes a sink that takes one delivery after the other.
func Each[D any](sink func(D)) func([]D) {
	return func(batch []D) {
		for _, d := range batch {
			sink(d)
		}
	}
}
