package lib

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// ackShare bounds the acknowledgements that wait: at the latest after 1/ackShare of the
// prefetch, all are acknowledged at once.
const ackShare = 4

// linger is how long an acknowledgement waits for more, at most. Without it, a consumer
// that is faster than the library's reader would acknowledge every message alone. The
// comparison is with acknowledgements of several deliveries at once.
const linger = time.Millisecond

// Receive implements load.Target.
func (t *Target) Receive(ctx context.Context, sink *load.Sink) error {
	conn, err := amqp.Dial(t.opts.URL)
	if err != nil {
		return fmt.Errorf("dial the broker: %w", err)
	}
	return errors.Join(t.receive(ctx, conn, sink), conn.Close())
}

func (t *Target) receive(ctx context.Context, conn *amqp.Connection, sink *load.Sink) error {
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open channel: %w", err)
	}
	if err := ch.Qos(t.opts.Prefetch, 0, false); err != nil {
		return fmt.Errorf("set prefetch: %w", err)
	}
	deliveries, err := ch.Consume(t.opts.Queue, "", false, false, false, false, nil)
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	sink.Open()
	c := &consumer{ch: ch, deliveries: deliveries, most: max(t.opts.Prefetch/ackShare, 1)}
	if err := c.run(ctx, sink); err != nil {
		return err
	}
	return ch.Close() // the broker answers it after it has handled the acknowledgements
}

// consumer acknowledges when enough deliveries have arrived, or after linger.
type consumer struct {
	ch         *amqp.Channel
	deliveries <-chan amqp.Delivery
	most       int

	tag     uint64
	pending int
}

func (c *consumer) run(ctx context.Context, sink *load.Sink) error {
	tick := time.NewTicker(linger)
	defer tick.Stop()
	for {
		select {
		case d, ok := <-c.deliveries:
			if err := c.take(sink, d, ok); err != nil {
				return err
			}
		case <-tick.C:
			if err := c.ack(); err != nil {
				return err
			}
		case <-sink.Done():
			return c.ack()
		case <-ctx.Done():
			return fmt.Errorf("receive: %w", context.Cause(ctx))
		}
	}
}

func (c *consumer) take(sink *load.Sink, d amqp.Delivery, ok bool) error {
	if !ok {
		return amqp.ErrClosed
	}
	if err := sink.Receive(d.Body, d.Redelivered); err != nil {
		return err
	}
	c.tag, c.pending = d.DeliveryTag, c.pending+1
	if c.pending < c.most {
		return nil
	}
	return c.ack()
}

// ack acknowledges the pending deliveries.
func (c *consumer) ack() error {
	if c.pending == 0 {
		return nil
	}
	c.pending = 0
	if err := c.ch.Ack(c.tag, true); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	return nil
}
