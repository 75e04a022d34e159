package conn

import (
	"errors"
	"syscall"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// refusedCap bounds the delay after a refused TCP connect. Such a try costs one
// packet, and a restarted broker is found within a second of opening its port.
const refusedCap = 800 * time.Millisecond

// Backoff computes full-jitter delays between tries.
type Backoff struct {
	opts *Options
	n    int // tries that failed in a row
}

// NewBackoff returns one that has seen no failure.
func NewBackoff(opts *Options) *Backoff { return &Backoff{opts: opts} }

// Next returns how long to wait after err.
func (b *Backoff) Next(err error) time.Duration {
	limit := b.opts.MaxBackoff
	if errors.Is(err, syscall.ECONNREFUSED) {
		limit = min(limit, refusedCap)
	}
	ceiling := b.opts.MinBackoff
	for range b.n {
		if ceiling >= limit {
			break
		}
		ceiling *= 2
	}
	b.n++
	if slow(err) {
		return b.opts.SlowBackoff + b.jitter(b.opts.SlowBackoff)
	}
	return b.jitter(min(ceiling, limit))
}

func (b *Backoff) jitter(d time.Duration) time.Duration {
	return time.Duration(b.opts.Rand() * float64(d))
}

// Reset begins anew, after a try that did not fail.
func (b *Backoff) Reset() { b.n = 0 }

// slow tells what a quick repeat cannot heal: refused credentials (403), a vhost
// or a limit (530).
func slow(err error) bool {
	var e *amqp.Error
	return errors.As(err, &e) && (e.Code == amqp.AccessRefused || e.Code == amqp.NotAllowed)
}
