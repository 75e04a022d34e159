package lib

import (
	"context"
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
	"golang.org/x/sync/errgroup"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

var errNack = errors.New("the broker refused a message, or the channel is gone")

// caller is one channel in confirm mode.
type caller struct {
	ch       *amqp.Channel
	exchange string
	returned chan amqp.Return
}

// open returns n callers.
func (t *Target) open(n int) ([]*caller, error) {
	for len(t.callers) < n {
		ch, err := t.conn.Channel()
		if err != nil {
			return nil, fmt.Errorf("open channel: %w", err)
		}
		if err := ch.Confirm(false); err != nil {
			return nil, fmt.Errorf("select confirms: %w", err)
		}
		t.callers = append(t.callers, &caller{ch, t.opts.Exchange, ch.NotifyReturn(make(chan amqp.Return, 1))})
	}
	return t.callers[:n], nil
}

func (c *caller) publish(m load.Message, body []byte) (*amqp.DeferredConfirmation, error) {
	return c.ch.PublishWithDeferredConfirm(c.exchange, load.EventType, true, false, amqp.Publishing{
		DeliveryMode: amqp.Persistent, ContentType: load.ContentType, MessageId: m.ID, Body: body,
	})
}

// guard runs while the caller publishes. It fails on the first returned message, and it
// reads returns so that the library does not block.
func (c *caller) guard(ctx context.Context) error {
	select {
	case r, ok := <-c.returned:
		if !ok {
			return amqp.ErrClosed
		}
		return fmt.Errorf("message %s was returned: %s", r.MessageId, r.ReplyText)
	case <-ctx.Done():
		return nil
	}
}

// guarded runs publish for every caller, together with their guards.
func guarded(ctx context.Context, callers []*caller, publish func(ctx context.Context, c *caller) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	guards, guardCtx := errgroup.WithContext(ctx)
	var publishing errgroup.Group
	for _, c := range callers {
		guards.Go(func() error { return c.guard(guardCtx) })
		publishing.Go(func() error { return publish(guardCtx, c) })
	}
	err := publishing.Wait()
	stop()
	return errors.Join(guards.Wait(), err)
}

// Unary implements load.Target.
func (t *Target) Unary(ctx context.Context, callers int, feed *load.Feed) error {
	all, err := t.open(callers)
	if err != nil {
		return err
	}
	return guarded(ctx, all, func(ctx context.Context, c *caller) error { return c.oneByOne(ctx, feed.Lane()) })
}

func (c *caller) oneByOne(ctx context.Context, lane *load.Lane) error {
	body := make([]byte, load.Size) // reusable: the library has written it when publish returns
	for m, ok := lane.Next(body); ok; m, ok = lane.Next(body) {
		confirm, err := c.publish(m, body)
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		if err := wait(ctx, confirm); err != nil {
			return err
		}
		lane.Confirmed(m.Made)
	}
	return nil
}

func wait(ctx context.Context, confirm *amqp.DeferredConfirmation) error {
	select {
	case <-confirm.Done():
		if !confirm.Acked() {
			return errNack
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a confirm: %w", context.Cause(ctx))
	}
}

// Stream implements load.Target: one channel, whose confirms are awaited in the
// order of the publishes.
func (t *Target) Stream(ctx context.Context, window int, feed *load.Feed) error {
	callers, err := t.open(1)
	if err != nil {
		return err
	}
	return guarded(ctx, callers, func(ctx context.Context, c *caller) error { return c.pipeline(ctx, window, feed) })
}

// unconfirmed is a message in the window.
type unconfirmed struct {
	confirm *amqp.DeferredConfirmation
	made    int64
}

func (c *caller) pipeline(ctx context.Context, window int, feed *load.Feed) error {
	g, ctx := errgroup.WithContext(ctx)
	flight := make(chan unconfirmed, max(window-2, 0)) // each side holds one more
	g.Go(func() error {
		defer close(flight)
		lane, body := feed.Lane(), make([]byte, load.Size)
		for m, ok := lane.Next(body); ok; m, ok = lane.Next(body) {
			confirm, err := c.publish(m, body)
			if err != nil {
				return fmt.Errorf("publish: %w", err)
			}
			select {
			case flight <- unconfirmed{confirm, m.Made}:
			case <-ctx.Done():
				return nil // the goroutine that waits for confirms returns the error
			}
		}
		return nil
	})
	g.Go(func() error {
		lane := feed.Lane()
		for u := range flight {
			if err := wait(ctx, u.confirm); err != nil {
				return err
			}
			lane.Confirmed(u.made)
		}
		return nil
	})
	return g.Wait()
}
