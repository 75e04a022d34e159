package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/examples/shop/journal"
)

// checkout places orders. It is safe for concurrent use.
type checkout struct {
	publisher client.Publisher
	retry     client.Retry
	journal   *journal.Writer
	tracer    trace.Tracer
	run       string
	log       *slog.Logger
	open      func() bool // whether to continue when all requested orders are placed
}

// order is the payload.
type order struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Cents    int    `json:"cents"`
}

// place places order n: one span, one event, two lines in the journal. An order that is
// refused for good has a line of its own and is no error. An error means that the
// journal is not reliable any more.
func (c *checkout) place(ctx context.Context, n int) error {
	ctx, span := c.tracer.Start(ctx, "place order")
	defer span.End()
	event, err := c.event(n)
	if err != nil {
		return err
	}
	span.SetAttributes(attribute.String("cloudevents.event_id", event.GetId()))
	line := journal.Record{What: journal.Published, ID: event.GetId(), Topic: "orders", Trace: span.SpanContext().TraceID().String()}
	if err := c.journal.Append(line); err != nil {
		return err
	}

	answer, attempts, err := c.retry.Publish(ctx, c.publisher, "orders", event)
	line.Attempt = attempts
	switch {
	case err != nil && ctx.Err() != nil:
		return nil // the program is stopping; the order stays unconfirmed in the journal
	case err != nil:
		span.SetStatus(otelcodes.Error, err.Error())
		c.log.Error("order refused", "event_id", event.GetId(), "error", err)
		line.What, line.Error = journal.Failed, err.Error()
	default:
		line.What, line.Topic = journal.Confirmed, answer.GetTopic()
	}
	return c.journal.Append(line)
}

func (c *checkout) event(n int) (*eventsv1.CloudEvent, error) {
	id := fmt.Sprintf("%s-order-%06d", c.run, n)
	customer := fmt.Sprintf("customer-%d", n%100)
	data, err := json.Marshal(order{ID: id, Customer: customer, Cents: 100 + n%9000})
	if err != nil {
		return nil, fmt.Errorf("encode order %q: %w", id, err)
	}
	event := client.NewEvent(id, "/shop/checkout", "com.shop.order.placed", "application/json", data)
	event.Attributes["subject"] = client.Text(customer)
	event.Attributes["time"] = client.Time(time.Now())
	return event, nil
}
