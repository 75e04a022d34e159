package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/examples/shop/journal"
)

// audit records events. It is safe for concurrent use.
type audit struct {
	journal *journal.Writer
	tracer  trace.Tracer
	log     *slog.Logger
}

// options of a subscription: journal and log record what happens to its stream.
func (a *audit) options(subscription string) client.SubscribeOptions {
	return client.SubscribeOptions{
		Ready: a.ready(subscription),
		Lost: func(err error, again time.Duration) {
			a.log.Warn("subscription stream ended", "subscription", subscription, "error", err, "again_in", again.String())
		},
		Ineffective: func(err *client.Error) {
			a.log.Info("settlement had no effect", "subscription", subscription, "reason", err.Message)
		},
	}
}

// ready records that a subscription is open.
func (a *audit) ready(subscription string) func(*eventsv1.SubscribeReady) {
	return func(r *eventsv1.SubscribeReady) {
		a.log.Info("subscribed", "subscription", r.GetSubscription(), "topic", r.GetTopic())
		line := journal.Record{What: journal.Ready, Subscription: subscription, Topic: r.GetTopic()}
		if err := a.journal.Append(line); err != nil {
			a.log.Error("journal line lost", "error", err)
		}
	}
}

// handle records one event of a subscription, then acknowledges it. An event that
// cannot be recorded is redelivered.
func (a *audit) handle(subscription string) client.Handler {
	return func(ctx context.Context, d *eventsv1.Delivery) error {
		_, span := a.tracer.Start(ctx, "audit event",
			trace.WithAttributes(attribute.String("cloudevents.event_id", d.GetEvent().GetId())))
		defer span.End()
		err := a.journal.Append(journal.Record{
			What:         journal.Delivered,
			ID:           d.GetEvent().GetId(),
			Subscription: subscription,
			Topic:        d.GetTopic(),
			Attempt:      int(d.GetAttempt()),
			Redelivered:  d.GetRedelivered(),
		})
		if err != nil {
			a.log.Error("event not recorded", "event_id", d.GetEvent().GetId(), "error", err)
			return errors.New("journal not writable")
		}
		return nil
	}
}
