package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/examples/shop/internal/events"
	"github.com/warrenmesh/warren/examples/shop/internal/journal"
	"github.com/warrenmesh/warren/tracing"
)

// billing turns orders into invoices. It may be used from several goroutines.
type billing struct {
	publisher *events.Publisher
	journal   *journal.Writer
	tracer    trace.Tracer
	log       *slog.Logger
}

// invoice is the payload of the follow-up event.
type invoice struct {
	Order string `json:"order"`
	Cents int    `json:"cents"`
}

// ready notes that a subscription is open.
func (b *billing) ready(subscription string) func(*eventsv1.SubscribeReady) {
	return func(r *eventsv1.SubscribeReady) {
		b.log.Info("subscribed", "subscription", r.GetSubscription(), "topic", r.GetTopic())
		b.append(journal.Record{What: journal.Ready, Subscription: subscription, Topic: r.GetTopic()})
	}
}

// handle bills one order of a subscription and acks it when its invoice is with
// the broker. Whatever stands in the way makes the order come again.
func (b *billing) handle(subscription string) func(context.Context, *eventsv1.Delivery) *eventsv1.Settlement {
	return func(ctx context.Context, d *eventsv1.Delivery) *eventsv1.Settlement {
		if deadline := d.GetAckDeadline(); deadline != nil {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.AsTime())
			defer cancel()
		}
		ctx, span := b.tracer.Start(tracing.Extract(ctx, d.GetTraceContext()), "bill order",
			trace.WithAttributes(attribute.String("cloudevents.event_id", d.GetEvent().GetId())))
		defer span.End()
		if err := b.bill(ctx, subscription, d); err != nil {
			span.SetStatus(otelcodes.Error, err.Error())
			b.log.Warn("order not billed", "event_id", d.GetEvent().GetId(), "error", err)
			return &eventsv1.Settlement{Outcome: eventsv1.Outcome_OUTCOME_RETRY, Reason: "invoice not published"}
		}
		return &eventsv1.Settlement{Outcome: eventsv1.Outcome_OUTCOME_ACK}
	}
}

func (b *billing) bill(ctx context.Context, subscription string, d *eventsv1.Delivery) error {
	order := d.GetEvent()
	event, err := invoiceFor(order)
	if err != nil {
		return err
	}
	line := journal.Record{What: journal.Published, ID: event.GetId(), Cause: order.GetId(), Topic: "invoices"}
	if err := b.journal.Append(line); err != nil {
		return err
	}
	answer, attempts, err := b.publisher.Publish(ctx, "invoices", event)
	if err != nil {
		return err
	}
	line.What, line.Topic, line.Attempt = journal.Confirmed, answer.GetTopic(), attempts
	return b.journal.Append(line, journal.Record{
		What:         journal.Delivered,
		ID:           order.GetId(),
		Subscription: subscription,
		Topic:        d.GetTopic(),
		Attempt:      int(d.GetAttempt()),
		Redelivered:  d.GetRedelivered(),
	})
}

// invoiceFor makes the invoice of an order; the same order always makes the same
// event id.
func invoiceFor(placed *eventsv1.CloudEvent) (*eventsv1.CloudEvent, error) {
	var order struct {
		Cents int `json:"cents"`
	}
	if err := json.Unmarshal(placed.GetBinaryData(), &order); err != nil {
		return nil, fmt.Errorf("decode order %q: %w", placed.GetId(), err)
	}
	data, err := json.Marshal(invoice{Order: placed.GetId(), Cents: order.Cents})
	if err != nil {
		return nil, fmt.Errorf("encode invoice of %q: %w", placed.GetId(), err)
	}
	return &eventsv1.CloudEvent{
		Id:          placed.GetId() + "-invoice",
		Source:      "/shop/billing",
		SpecVersion: "1.0",
		Type:        "com.shop.invoice.issued",
		Attributes: map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
			"causationid":     {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: placed.GetId()}},
			"datacontenttype": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: "application/json"}},
			"time":            {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp{CeTimestamp: timestamppb.Now()}},
		},
		Data: &eventsv1.CloudEvent_BinaryData{BinaryData: data},
	}, nil
}

// append writes a line that nothing depends on.
func (b *billing) append(line journal.Record) {
	if err := b.journal.Append(line); err != nil {
		b.log.Error("journal line lost", "error", err)
	}
}
