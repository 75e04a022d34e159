package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/examples/shop/events"
	"github.com/warrenmesh/warren/examples/shop/journal"
)

// billing turns orders into invoices. It may be used from several goroutines.
type billing struct {
	eventsv1.UnimplementedEventHandlerServiceServer
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

// ready notes that orders may be pushed.
func (b *billing) ready() {
	b.log.Info("ready for events")
	b.append(journal.Record{What: journal.Ready})
}

// OnEvent implements EventHandlerService: it bills one order and acks it when its
// invoice is with the broker. Whatever stands in the way makes the order come again;
// an order that nobody can read never will be readable and is refused.
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
	answer, attempts, err := b.publisher.Publish(ctx, "invoices", event)
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
