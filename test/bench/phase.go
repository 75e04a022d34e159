package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/load"
	"github.com/warrenmesh/warren/test/bench/internal/mesh"
	"github.com/warrenmesh/warren/test/bench/internal/stat"
)

// patience is how long a phase may take beyond the measured time, filling a queue
// included.
const patience = 5 * time.Minute

// fillWindow is the window used to fill a queue for a drain.
const fillWindow = 1024

var errEarly = errors.New("the load ended before it was stopped")

// target is a load.Target with the data that the runner needs about it.
type target struct {
	load.Target
	name     string
	queue    string
	sidecars []int
	mesh     *mesh.Mesh // nil for a target without sidecars
}

// phases runs single phases.
type phases struct {
	opts  *options
	meter *meter
	queue *amqp.Channel // to inspect and purge queues
	begin func()        // called when the measured part of a phase begins; may be nil
}

// measure runs one phase and checks that no message was lost or repeated.
func (p *phases) measure(ctx context.Context, t *target, w workload) (s sample, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.opts.measured+patience, fmt.Errorf("%s of %s is stuck", w.name, t.name))
	defer cancel()
	switch w.kind {
	case kindUnary:
		s, err = p.publish(ctx, t, func(feed *load.Feed) error { return t.Unary(ctx, w.n, feed) })
	case kindStream:
		s, err = p.publish(ctx, t, func(feed *load.Feed) error { return t.Stream(ctx, w.n, feed) })
	case kindDrain:
		s, err = p.drain(ctx, t)
	case kindEndToEnd:
		s, err = p.endToEnd(ctx, t, w.n)
	}
	if err != nil {
		err = fmt.Errorf("%s of %s: %w", w.name, t.name, err)
		if t.mesh != nil {
			err = fmt.Errorf("%w\n%s", err, t.mesh.Log())
		}
		return sample{}, err
	}
	return s, nil
}

// publish measures publishing without a consumer. Afterwards the queue must hold
// exactly the confirmed messages.
func (p *phases) publish(ctx context.Context, t *target, run func(*load.Feed) error) (sample, error) {
	feed := load.NewFeed(0)
	running := start(func() error { return run(feed) })
	s, err := p.window(ctx, t, running, feed.Confirmed, feed.Record)
	feed.Stop()
	if err := errors.Join(err, running.wait()); err != nil {
		return sample{}, err
	}
	published, err := feed.Settled()
	if err != nil {
		return sample{}, err
	}
	s.p50, s.p99 = percentiles(feed.Latencies())
	return s, p.empty(t, published)
}

// drain fills the queue, then measures how fast it is received. The measured time
// begins with the first message.
func (p *phases) drain(ctx context.Context, t *target) (sample, error) {
	feed := load.NewFeed(p.opts.drain)
	if err := t.Stream(ctx, fillWindow, feed); err != nil {
		return sample{}, err
	}
	published, err := feed.Settled()
	if err != nil {
		return sample{}, err
	}
	if err := p.holds(t, published); err != nil {
		return sample{}, err
	}
	sink := load.NewSink(feed)
	if err := sink.Expect(published); err != nil {
		return sample{}, err
	}
	before, err := p.read(t, 0)
	if err != nil {
		return sample{}, err
	}
	if err := t.Receive(ctx, sink); err != nil {
		return sample{}, err
	}
	after, err := p.meter.read(t.sidecars, sink.Received())
	if err != nil {
		return sample{}, err
	}
	s := p.meter.between(before, after)
	s.rate = float64(sink.Received()-1) / sink.Span().Seconds()
	return s, p.empty(t, 0)
}

// endToEnd measures receiving while publishing. Every confirmed message must arrive
// exactly once.
func (p *phases) endToEnd(ctx context.Context, t *target, window int) (sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	feed := load.NewFeed(0)
	sink := load.NewSink(feed)
	receiving := start(func() error { return t.Receive(ctx, sink) })
	select {
	case <-sink.Opened():
	case err := <-receiving:
		return sample{}, errors.Join(err, errEarly)
	}
	publishing := start(func() error { return t.Stream(ctx, window, feed) })
	s, err := p.window(ctx, t, receiving, sink.Received, sink.Record)
	feed.Stop()
	if err := errors.Join(err, publishing.wait()); err != nil {
		cancel()
		return sample{}, errors.Join(err, receiving.wait())
	}
	published, err := feed.Settled()
	if err = errors.Join(err, sink.Expect(published)); err != nil {
		cancel()
	}
	if err := errors.Join(err, receiving.wait()); err != nil {
		return sample{}, err
	}
	s.p50, s.p99 = percentiles(sink.Latencies())
	return s, p.empty(t, 0)
}

// window lets a running load warm up and then measures it.
func (p *phases) window(ctx context.Context, t *target, running running, count func() int, record func()) (sample, error) {
	if err := running.last(ctx, p.opts.warmup); err != nil {
		return sample{}, err
	}
	record()
	before, err := p.read(t, count())
	if err != nil {
		return sample{}, err
	}
	if err := running.last(ctx, p.opts.measured); err != nil {
		return sample{}, err
	}
	after, err := p.meter.read(t.sidecars, count())
	return p.meter.between(before, after), err
}

// read reads the meter when the measured part of a phase begins.
func (p *phases) read(t *target, count int) (reading, error) {
	if p.begin != nil {
		p.begin()
	}
	return p.meter.read(t.sidecars, count)
}

// empty purges the queue and checks that it held want messages.
func (p *phases) empty(t *target, want int) error {
	got, err := p.queue.QueuePurge(t.queue, false)
	if err != nil {
		return fmt.Errorf("purge queue %q: %w", t.queue, err)
	}
	return wantMessages(t.queue, got, want)
}

// holds checks that the queue holds want messages.
func (p *phases) holds(t *target, want int) error {
	q, err := p.queue.QueueDeclarePassive(t.queue, true, false, false, false, nil)
	if err != nil {
		return fmt.Errorf("look at queue %q: %w", t.queue, err)
	}
	return wantMessages(t.queue, q.Messages, want)
}

func wantMessages(queue string, got, want int) error {
	if got != want {
		return fmt.Errorf("%d messages are in queue %q, want %d", got, queue, want)
	}
	return nil
}

func percentiles(latencies []time.Duration) (p50, p99 time.Duration) {
	return stat.Percentile(latencies, 0.5), stat.Percentile(latencies, 0.99)
}

// running receives the result of a load when it ends.
type running chan error

func start(run func() error) running {
	r := make(running, 1)
	go func() { r <- run() }()
	return r
}

// last waits for d. It returns an error when the load ends before.
func (r running) last(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case err := <-r:
		r <- nil // wait reads it
		return errors.Join(err, errEarly)
	}
}

func (r running) wait() error { return <-r }
