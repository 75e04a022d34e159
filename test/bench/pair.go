package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

var errNothing = errors.New("the queue is empty")

// fair checks that lib publishes the message that the sidecar publishes. A header less
// would save the broker a tenth of its time, and the pair would say nothing.
func (s *session) fair(ctx context.Context, ours, libs *running) error {
	a, err := s.one(ctx, ours)
	if err != nil {
		return err
	}
	b, err := s.one(ctx, libs)
	if err != nil {
		return err
	}
	if difference := unequal(shape(a), shape(b)); difference != "" {
		return fmt.Errorf("the pair is not fair: %s; test/bench/internal/lib/event.go makes lib's message", difference)
	}
	return nil
}

// one publishes one message by a target and takes it out of the queue.
func (s *session) one(ctx context.Context, t *running) (*amqp.Delivery, error) {
	feed := load.NewFeed(load.Shape{Limit: 1})
	if err := t.Unary(ctx, 1, feed); err != nil {
		return nil, fmt.Errorf("publish one message by %s: %w", t.Name, err)
	}
	d, ok, err := s.queues.Get(t.Queues[0], true)
	if err == nil && !ok {
		err = errNothing
	}
	if err != nil {
		return nil, fmt.Errorf("get the message of %s: %w", t.Name, err)
	}
	return &d, nil
}

// shape is what two messages of a pair have in common. The values of ids and trace
// contexts differ; their sizes do not.
func shape(d *amqp.Delivery) map[string]string {
	out := map[string]string{
		"exchange": d.Exchange, "routing key": d.RoutingKey, "content type": d.ContentType, "content encoding": d.ContentEncoding,
		"type": d.Type, "app id": d.AppId, "user id": d.UserId, "reply to": d.ReplyTo, "correlation id": d.CorrelationId, "expiration": d.Expiration,
		"delivery mode": fmt.Sprint(d.DeliveryMode), "priority": fmt.Sprint(d.Priority), "timestamp": fmt.Sprint(!d.Timestamp.IsZero()),
		"message id": fmt.Sprintf("%d bytes", len(d.MessageId)), "body": fmt.Sprintf("%d bytes", len(d.Body)),
	}
	for name, value := range d.Headers {
		out["header "+name] = fmt.Sprintf("%T", value)
		if text, ok := value.(string); ok {
			out["header "+name] = fmt.Sprintf("a string of %d bytes", len(text))
		}
	}
	return out
}

// unequal says how shapes differ, "" when they do not.
func unequal(warren, lib map[string]string) string {
	var out []string
	names := maps.Clone(warren)
	maps.Copy(names, lib)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if warren[name] != lib[name] {
			out = append(out, fmt.Sprintf("%s is %q of warren and %q of lib", name, warren[name], lib[name]))
		}
	}
	return strings.Join(out, ", ")
}
