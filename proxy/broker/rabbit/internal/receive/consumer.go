package receive

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/envelope"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/layout"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
)

// Receiver receives over a link, on whichever session is up. It is safe for concurrent use.
type Receiver struct {
	// Set at construction.
	link    *conn.Link
	objects *layout.Objects
	opts    *conn.Options

	stale atomic.Uint64
}

// New returns one that consumes over link. Queues in o it declares again.
func New(link *conn.Link, o *layout.Objects, opts *conn.Options) *Receiver {
	return &Receiver{link: link, objects: o, opts: opts}
}

// Stale is how many settlements came after their channel was gone.
func (r *Receiver) Stale() uint64 { return r.stale.Load() }

// Consume implements queueing.Consumer. It calls sink in the caller's goroutine. A
// queue that was declared under Manage and is deleted meanwhile is declared again;
// another one ends Consume with NotFound.
func (r *Receiver) Consume(ctx context.Context, opts queueing.ConsumeOptions, sink func([]*queueing.Delivery)) (drain func(), err error) {
	if err := checkConsume(opts); err != nil {
		return func() {}, err
	}
	delays := conn.NewBackoff(r.opts)
	for {
		s, err := r.link.Wait(ctx)
		switch {
		case ctx.Err() != nil:
			return func() {}, nil //nolint:nilerr // the end was asked for, and nothing is unsettled
		case err != nil:
			return func() {}, fault.NotSent(broker.Unavailable, consumeOp(opts.Queue), err)
		}
		c, err := r.attach(s, opts)
		if err == nil {
			delays.Reset()
			if c.pump(ctx, sink) {
				return c.close, nil
			}
			c.close() // what is unsettled comes back by itself
			if opts.Lost != nil {
				opts.Lost(c.epoch)
			}
			err = c.why()
		}
		if err := r.heal(ctx, s, opts.Queue, err); err != nil {
			return func() {}, err
		}
		pace.Sleep(ctx, delays.Next(err))
	}
}

// errEnded says that a consumer was cancelled, or its channel closed, by the
// broker, or that its connection is gone.
var errEnded = errors.New("consumer ended")

func consumeOp(queue string) string { return fmt.Sprintf("consume from queue %q", queue) }

func checkConsume(o queueing.ConsumeOptions) error {
	switch {
	case o.Prefetch < 1 || o.Prefetch > math.MaxUint16:
		return fault.NotSent(broker.Invalid, consumeOp(o.Queue), fmt.Errorf("prefetch %d: want 1 to %d", o.Prefetch, math.MaxUint16))
	case o.Queue == "" || len(o.Queue) > message.MaxShort:
		return fault.NotSent(broker.Invalid, consumeOp(o.Queue), fmt.Errorf("queue name of %d bytes: want 1 to %d", len(o.Queue), message.MaxShort))
	default:
		return nil
	}
}

// heal decides what to do about the end of a consumer, err. nil means that it can
// be attached again.
func (r *Receiver) heal(ctx context.Context, s *conn.Session, queue string, err error) error {
	if s.Lost() {
		return nil
	}
	missing := fault.KindOf(err) == broker.NotFound
	if errors.Is(err, errEnded) || missing {
		r.opts.Logger.Warn("consumer ended by the broker", "broker_node", r.opts.Address, "queue", queue, "error", err)
		if r.objects.HasQueue(queue) {
			return r.redeclare(ctx, s)
		}
		if !missing {
			return nil // attaching again tells whether the queue is gone
		}
	}
	if kind := fault.KindOf(err); kind != broker.Unavailable {
		return fault.NotSent(kind, consumeOp(queue), err)
	}
	return nil
}

// redeclare declares the remembered topology. What cannot be healed by trying
// again is an error.
func (r *Receiver) redeclare(ctx context.Context, s *conn.Session) error {
	err := s.Do(ctx, func() error { return r.objects.Restore(s) })
	switch broker.KindOf(err) {
	case broker.Conflict, broker.Refused, broker.Invalid:
		return err
	default:
		return nil
	}
}

// attach opens a channel of its own for a consumer and starts it.
func (r *Receiver) attach(s *conn.Session, o queueing.ConsumeOptions) (*inbound, error) {
	c := newInbound(s, o, o.SingleActive || r.objects.SingleActive(o.Queue), &r.stale)
	err := s.Call(func() error {
		ch, hot, err := s.HotChannel(c, o.MaxBytes)
		if err != nil {
			return fmt.Errorf("open channel: %w", err)
		}
		c.channel, c.acks, c.epoch = ch, hot, epochs.Add(1)
		hot.Prefetch(o.Prefetch)
		c.closes = ch.NotifyClose(make(chan *amqp.Error, 1))
		c.tag = consumerTag(o.Tag, c.epoch)
		// Per consumer: RabbitMQ closes the connection for global QoS on quorum queues.
		if err := ch.Qos(o.Prefetch, 0, false); err != nil {
			return fmt.Errorf("set prefetch: %w", err)
		}
		c.deliveries, err = ch.Consume(o.Queue, c.tag, false, false, false, false, nil)
		return err
	})
	if err != nil && c.channel != nil {
		_ = s.Call(c.channel.Close)
	}
	if err == nil {
		s.Consumers.Add(1)
	}
	return c, err
}

// consumerTag makes a tag that no earlier channel of this process had.
func consumerTag(tag string, epoch uint64) string {
	suffix := "." + strconv.FormatUint(epoch, 10)
	return tag[:min(len(tag), message.MaxShort-len(suffix))] + suffix
}

// why returns errEnded, with the broker's reason when it closed the channel.
func (c *inbound) why() error {
	select {
	case e, ok := <-c.closes:
		if ok {
			return fmt.Errorf("%w: %w", errEnded, e)
		}
	default:
	}
	return errEnded
}

// pump calls sink with what arrives. It returns true when ctx has ended, with the
// flow stopped, and false when there are no more deliveries.
func (c *inbound) pump(ctx context.Context, sink func([]*queueing.Delivery)) bool {
	check := time.NewTicker(c.session.Options.QueueCheck)
	defer check.Stop()
	idle := false // since the last check
	var batch []*queueing.Delivery
	for ctx.Err() == nil {
		select {
		case m := <-c.arrivals:
			idle = false
			batch = c.gather(append(batch, c.delivery(m)))
			sink(batch)
			clear(batch)
			batch = batch[:0]
		case <-c.deliveries:
			if ctx.Err() == nil {
				return false
			}
		case <-check.C:
			if idle && c.forgotten() {
				return false
			}
			idle = true
		case <-ctx.Done():
		}
	}
	c.stop()
	return true
}

// gather adds what else has arrived, as far as the sink takes it at once.
func (c *inbound) gather(batch []*queueing.Delivery) []*queueing.Delivery {
	if c.options.AtOnce == nil || len(c.arrivals) == 0 {
		return batch
	}
	for most := c.options.AtOnce(); len(batch) < most; {
		select {
		case m := <-c.arrivals:
			batch = append(batch, c.delivery(m))
		default:
			return batch
		}
	}
	return batch
}

// delivery decodes m and makes it settleable.
func (c *inbound) delivery(m *message.Message) *queueing.Delivery {
	out := envelope.Decode(m, &c.options)
	out.Epoch, out.Channel = c.epoch, c
	c.track(m.Tag)
	m.Free()
	return out
}
