// Package lib publishes and receives with amqp091-go alone, as a careful program
// without a sidecar does. Its messages are those of a sidecar: event.go has their
// properties and headers, and reads a delivery back into an event. It waits for deferred
// confirmations, uses a channel for each caller, reads returned messages, consumes on a
// connection of its own, and acknowledges several deliveries at once.
//
// A Target uses an exchange and a queue that exist, those of the sidecars it is compared
// with, and keeps its connections and channels from one run to the next. It does not
// reconnect: a lost connection ends the comparison.
//
//	target, err := lib.Open(lib.Options{URL: url, Exchange: "bench", Queue: "bench", Prefetch: 256})
//	defer target.Close()
package lib

import (
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// Options of a Target. All are required.
type Options struct {
	// URL of the broker.
	URL string
	// Exchange takes the messages, and Queue is where they arrive. Both exist.
	Exchange, Queue string
	// Prefetch is the consumer's, in messages.
	Prefetch int
}

// Target implements load.Target.
type Target struct {
	opts    Options
	conn    *amqp.Connection // for publishers
	callers []*caller        // created when first needed
}

var _ load.Target = (*Target)(nil)

// Open connects.
func Open(opts Options) (*Target, error) {
	conn, err := amqp.Dial(opts.URL)
	if err != nil {
		return nil, fmt.Errorf("dial the broker: %w", err)
	}
	return &Target{opts: opts, conn: conn}, nil
}

// Close disconnects.
func (t *Target) Close() error { return t.conn.Close() }
