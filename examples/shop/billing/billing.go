package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/examples/shop/journal"
)

// billing makes an invoice for each order. It is safe for concurrent use.
type billing struct {
	eventsv1.UnimplementedEventHandlerServiceServer
	publisher client.Publisher
	retry     client.Retry
	journal   *journal.Writer
	tracer    trace.Tracer
	log       *slog.Logger
}

// invoice is the payload of the follow-up event.
type invoice struct {
	Order string `json:"order"`
	Cents int    `json:"cents"`
}

// ready records that orders may be pushed.
func (b *billing) ready() {
	b.log.Info("ready for events")
	b.append(journal.Record{What: journal.Ready})
}

// OnEvent implements EventHandlerService. It bills one order, and acknowledges it when
// the broker has confirmed the invoice. After a failure the order is retried. An order
// that cannot be decoded is dead-lettered, because a retry would not help.
func (b *billing) OnEvent(ctx context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
	ctx, span := b.tracer.Start(ctx, "bill order",
		trace.WithAttributes(attribute.String("cloudevents.event_id", req.GetEvent().GetId())))
	defer span.End()
	event, err := invoiceFor(req.GetEvent())
	if err == nil {
		err = b.bill(ctx, req, event)
	}
	if err == nil {
		return &eventsv1.OnEventResponse{Outcome: eventsv1.Outcome_OUTCOME_ACK}, nil
	}
	span.SetStatus(otelcodes.Error, err.Error())
	b.log.Warn("order not billed", "event_id", req.GetEvent().GetId(), "error", err)
	if event == nil {
		return &eventsv1.OnEventResponse{Outcome: eventsv1.Outcome_OUTCOME_DEAD_LETTER, Reason: "order not readable"}, nil
	}
	return &eventsv1.OnEventResponse{Outcome: eventsv1.Outcome_OUTCOME_RETRY, Reason: "invoice not published"}, nil
}

func (b *billing) bill(ctx context.Context, req *eventsv1.OnEventRequest, event *eventsv1.CloudEvent) error {
	order := req.GetEvent()
	line := journal.Record{What: journal.Published, ID: event.GetId(), Cause: order.GetId(), Topic: "invoices"}
	if err := b.journal.Append(line); err != nil {
		return err
	}
	answer, attempts, err := b.retry.Publish(ctx, b.publisher, "invoices", event)
	if err != nil {
		return err
	}
	_, subscription, _ := strings.Cut(req.GetSubscription(), "/") // "namespace/name"
	line.What, line.Topic, line.Attempt = journal.Confirmed, answer.GetTopic(), attempts
	return b.journal.Append(line, journal.Record{
		What:         journal.Delivered,
		ID:           order.GetId(),
		Subscription: subscription,
		Topic:        req.GetTopic(),
		Attempt:      int(req.GetAttempt()),
		Redelivered:  req.GetRedelivered(),
	})
}

// invoiceFor makes the invoice of an order. The same order always makes the same event
// id.
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
	event := client.NewEvent(placed.GetId()+"-invoice", "/shop/billing", "com.shop.invoice.issued", "application/json", data)
	event.Attributes["causationid"] = client.Text(placed.GetId())
	event.Attributes["time"] = client.Time(time.Now())
	return event, nil
}

// append writes a line that no decision depends on.
func (b *billing) append(line journal.Record) {
	if err := b.journal.Append(line); err != nil {
		b.log.Error("journal line lost", "error", err)
	}
}
