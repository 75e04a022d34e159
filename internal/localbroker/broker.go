package localbroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// errNotOurs is returned for an attempt to kill a broker that this package did not
// start.
var errNotOurs = errors.New("the broker was found, not started")

// Broker is a RabbitMQ that answered when Start returned it.
type Broker struct {
	// URL is its AMQP URL, with credentials.
	URL string
	// How says for people which broker it is and where it comes from.
	How string
	// Private is true when Start started it: then Supervise, Kill and Stop act on
	// it. A broker that was found is left alone by all three.
	Private bool

	// Set at construction.
	report func(string)
	server server // nil unless Private

	// Guarded by mu.
	mu      sync.Mutex
	stopped bool
}

// server is a broker this package started.
type server interface {
	// start starts it and returns when it answers. It is called again after exited.
	start(ctx context.Context) error
	// exited returns the channel that is closed when the present run has ended.
	exited() <-chan struct{}
	// kill ends the broker's process without warning and returns when it is dead.
	kill(ctx context.Context) error
	// stop ends everything that start started, gracefully while ctx lasts, and returns
	// when it is gone. It works after a failed start too.
	stop(ctx context.Context) error
}

// launch starts s for the first time. After a failure it leaves nothing behind.
func launch(ctx context.Context, o *Options, url, how string, s server) (*Broker, error) {
	began := time.Now()
	if err := s.start(ctx); err != nil {
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
		defer cancel()
		return nil, errors.Join(err, s.stop(cleanup))
	}
	o.report("broker: up after %.1fs", time.Since(began).Seconds())
	return &Broker{URL: url, How: how, Private: true, report: o.Report, server: s}, nil
}

// Supervise starts a private broker again, on the same port and data, whenever it
// dies, until ctx ends or Stop is called, and then returns nil. An attempt that
// fails is reported and repeated after a second. It may be called once at a time.
func (b *Broker) Supervise(ctx context.Context) error {
	if b.server == nil {
		<-ctx.Done()
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.server.exited():
		}
		if !b.restart(ctx) {
			return nil
		}
	}
}

// restart starts the broker again, and waits a second after a failure. It reports
// whether to go on supervising.
func (b *Broker) restart(ctx context.Context) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stopped || ctx.Err() != nil {
		return false
	}
	b.report("broker: it died; starting it again")
	began := time.Now()
	err := b.server.start(ctx)
	if err == nil {
		b.report(fmt.Sprintf("broker: back after %.1fs", time.Since(began).Seconds()))
		return true
	}
	b.report("broker: it did not come back: " + firstLine(err))
	select {
	case <-ctx.Done():
		return false
	case <-time.After(time.Second):
		return true
	}
}

// Kill ends the broker's process with SIGKILL, as a crash would, and returns when it
// is dead. Only Supervise brings it back, at once. It is an error when the broker is
// not private, or not running.
func (b *Broker) Kill(ctx context.Context) error {
	if b.server == nil {
		return fmt.Errorf("kill broker: %w", errNotOurs)
	}
	return b.server.kill(ctx)
}

// Stop ends a private broker with everything that belongs to it, gracefully while
// ctx lasts and by SIGKILL then, and returns when no process of it is left. It is
// idempotent, and does nothing to a broker that was found. A restart by Supervise
// is waited for; end its context first to cut that short.
func (b *Broker) Stop(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.server == nil || b.stopped {
		return nil
	}
	b.stopped = true
	return b.server.stop(ctx)
}
