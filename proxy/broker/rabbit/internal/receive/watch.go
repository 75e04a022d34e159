package receive

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/layout"
)

const (
	watchPrefetch = 100
	watchBytes    = 64 << 10 // a larger body is not read
	watchLength   = 1000     // most notices that wait for a slow watcher; the oldest go first
)

// Watch is that of queueing.Driver. Beside the dead-letter queue it binds a queue of this
// connection's own, which is gone with it.
func (r *Receiver) Watch(ctx context.Context, deadLetterQueue string, told func(*queueing.Delivery)) error {
	delays := conn.NewBackoff(r.opts)
	for {
		s, err := r.link.Wait(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the end was asked for
		}
		if err != nil {
			return fault.NotSent(broker.Unavailable, watchOp(deadLetterQueue), err)
		}
		c, err := r.attachWatch(s, deadLetterQueue)
		if err == nil {
			delays.Reset()
			ended := c.pump(ctx, func(batch []*queueing.Delivery) {
				for _, d := range batch {
					told(d)
					_ = d.Ack() // stale: its queue is gone, too
				}
			})
			c.close()
			if ended {
				return nil
			}
			err = c.why()
		}
		if fault.KindOf(err) == broker.Refused {
			return fault.NotSent(broker.Refused, watchOp(deadLetterQueue), err)
		}
		pace.Sleep(ctx, delays.Next(err))
	}
}

func watchOp(queue string) string { return fmt.Sprintf("watch dead-letter queue %q", queue) }

func (r *Receiver) attachWatch(s *conn.Session, deadLetterQueue string) (*inbound, error) {
	var own amqp.Queue
	err := s.Throwaway(func(ch *amqp.Channel) (err error) {
		args := amqp.Table{"x-queue-type": "classic", "x-max-length": int64(watchLength)}
		if own, err = ch.QueueDeclare("", false, true, true, false, args); err != nil {
			return err
		}
		return ch.QueueBind(own.Name, deadLetterQueue, layout.DeadLetters, false, nil)
	})
	if err != nil {
		return nil, err
	}
	c, err := r.attach(s, queueing.ConsumeOptions{
		Queue: own.Name, Prefetch: watchPrefetch, Tag: "warren-watch", MaxBytes: watchBytes, Letters: true, Uncounted: true,
	})
	if err != nil {
		// It goes when its last consumer does, and it never had one.
		return nil, errors.Join(err, s.Throwaway(func(ch *amqp.Channel) error {
			_, err := ch.QueueDelete(own.Name, false, false, false)
			return err
		}))
	}
	return c, nil
}
