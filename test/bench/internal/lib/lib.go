// Package lib publishes and receives with amqp091-go alone, as a careful program
// without a sidecar does. It waits for deferred confirmations, uses a channel for each
// caller, reads returned messages, consumes on a connection of its own, and
// acknowledges several deliveries at once.
//
// A Target keeps its connections and channels from one run to the next. It does not
// reconnect: a lost connection ends the comparison.
//
//	target, err := lib.Open(lib.Options{URL: url, Exchange: "bench", Queue: "bench", QueueType: "classic", Prefetch: 256})
//	defer target.Close()
package lib

import (
	"errors"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// Options of a Target. All are required.
type Options struct {
	// URL of the broker.
	URL string
	// Exchange and Queue are declared, durable, and bound; Close deletes them.
	Exchange, Queue string
	// QueueType is classic or quorum.
	QueueType string
	// Prefetch is the consumer's, in messages.
	Prefetch int
}

// Target implements load.Target.
type Target struct {
	opts    Options
	conn    *amqp.Connection // for publishers and for the topology
	setup   *amqp.Channel
	callers []*caller // created when first needed
}

var _ load.Target = (*Target)(nil)

// Open connects and declares.
func Open(opts Options) (*Target, error) {
	conn, err := amqp.Dial(opts.URL)
	if err != nil {
		return nil, fmt.Errorf("dial the broker: %w", err)
	}
	t := &Target{opts: opts, conn: conn}
	if err := t.declare(); err != nil {
		return nil, errors.Join(fmt.Errorf("declare queue %q: %w", opts.Queue, err), conn.Close())
	}
	return t, nil
}

func (t *Target) declare() (err error) {
	if t.setup, err = t.conn.Channel(); err != nil {
		return err
	}
	if err := t.setup.ExchangeDeclare(t.opts.Exchange, "topic", true, false, false, false, nil); err != nil {
		return err
	}
	args := amqp.Table{"x-queue-type": t.opts.QueueType}
	if _, err := t.setup.QueueDeclare(t.opts.Queue, true, false, false, false, args); err != nil {
		return err
	}
	return t.setup.QueueBind(t.opts.Queue, "#", t.opts.Exchange, false, nil)
}

// Close deletes what Open declared and disconnects.
func (t *Target) Close() error {
	_, queue := t.setup.QueueDelete(t.opts.Queue, false, false, false)
	exchange := t.setup.ExchangeDelete(t.opts.Exchange, false, false)
	return errors.Join(queue, exchange, t.conn.Close())
}
