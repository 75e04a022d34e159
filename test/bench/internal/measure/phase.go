package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/load"
	"github.com/warrenmesh/warren/test/bench/internal/proc"
	"github.com/warrenmesh/warren/test/bench/internal/stat"
)

// patience is how long a phase may take beyond the measured time, filling a queue
// included. A message that is lost while others arrive is noticed after it.
const patience = 5 * time.Minute

// fillWindow is the window used to fill a queue for a drain.
const fillWindow = 1024

// ErrBooks says that messages are missing, or are there that should not be.
var ErrBooks = errors.New("the books do not balance")

var errEarly = errors.New("the load ended before it was stopped")

// Options of Phases. All are required.
type Options struct {
	Measured time.Duration // of a publishing phase
	Warmup   time.Duration // before it
	Drain    int           // messages
}

// Phases runs single phases.
type Phases struct {
	// Begin is called when the measured part of a phase begins; may be nil.
	Begin func()

	opts     Options
	meter    *Meter
	queue    Queues
	patience time.Duration
}

// Queues looks at queues and empties them; an amqp.Channel does.
type Queues interface {
	// QueuePurge returns how many messages it removed.
	QueuePurge(name string, noWait bool) (int, error)
	// QueueDeclarePassive returns how many messages a queue has that exists.
	QueueDeclarePassive(name string, durable, autoDelete, exclusive, noWait bool, args amqp.Table) (amqp.Queue, error)
}

// New returns phases that look at queues over a channel.
func New(meter *Meter, queues Queues, opts Options) *Phases {
	return &Phases{opts: opts, meter: meter, queue: queues, patience: patience}
}

// Measure runs one phase and checks that no message was lost or repeated.
func (p *Phases) Measure(ctx context.Context, t *Target, w Workload) (s Sample, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, p.opts.Measured+p.patience, fmt.Errorf("%s of %s is stuck", w.Name, t.Name))
	defer cancel()
	switch w.Kind {
	case Drain:
		s, err = p.drain(ctx, t, w)
	case EndToEnd:
		s, err = p.endToEnd(ctx, t, w)
	default:
		s, err = p.publish(ctx, t, w)
	}
	if err != nil {
		err = fmt.Errorf("%s of %s: %w", w.Name, t.Name, err)
		if t.Log != nil {
			err = fmt.Errorf("%w\n%s", err, t.Log())
		}
		return Sample{}, err
	}
	for _, pid := range t.sidecars(w) {
		rss, err := proc.RSS(pid)
		if err != nil {
			return Sample{}, err
		}
		s.RSS += rss
	}
	return s, nil
}

// publish measures publishing without a consumer. Afterwards the queue must hold
// exactly the confirmed messages.
func (p *Phases) publish(ctx context.Context, t *Target, w Workload) (Sample, error) {
	feed := w.feed(0)
	running := start(func() error { return w.publish(ctx, t, feed) })
	s, err := p.window(ctx, t.sidecars(w), running, feed.Confirmed, feed.Record)
	feed.Stop()
	if err := errors.Join(err, running.wait()); err != nil {
		return Sample{}, err
	}
	published, err := feed.Settled()
	if err != nil {
		return Sample{}, err
	}
	s.latencies(feed.Latencies())
	return s, p.empty(t, published)
}

// drain fills the queue, then measures how fast it is received. The measured time
// begins with the first message.
func (p *Phases) drain(ctx context.Context, t *Target, w Workload) (Sample, error) {
	feed := w.feed(p.opts.Drain)
	if err := t.Stream(ctx, 1, fillWindow, feed); err != nil {
		return Sample{}, err
	}
	published, err := feed.Settled()
	if err != nil {
		return Sample{}, err
	}
	if err := p.holds(t, published); err != nil {
		return Sample{}, err
	}
	sink := load.NewSink(feed)
	if err := sink.Expect(published); err != nil {
		return Sample{}, err
	}
	before, err := p.read(t.sidecars(w), 0)
	if err != nil {
		return Sample{}, err
	}
	if err := t.Receive(ctx, sink); err != nil {
		return Sample{}, err
	}
	after, err := p.meter.read(t.sidecars(w), sink.Received())
	if err != nil {
		return Sample{}, err
	}
	s := p.meter.between(before, after)
	s.Rate = float64(sink.Received()-1) / sink.Span().Seconds()
	return s, p.empty(t, 0)
}

// endToEnd measures receiving while publishing. Every confirmed message must arrive
// exactly once.
func (p *Phases) endToEnd(ctx context.Context, t *Target, w Workload) (Sample, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	feed := w.feed(0)
	sink := load.NewSink(feed)
	receiving := start(func() error { return t.Receive(ctx, sink) })
	select {
	case <-sink.Opened():
	case err := <-receiving:
		return Sample{}, errors.Join(err, errEarly)
	}
	publishing := start(func() error { return w.publish(ctx, t, feed) })
	s, err := p.window(ctx, t.sidecars(w), receiving, sink.Received, sink.Record)
	feed.Stop()
	if err := errors.Join(err, publishing.wait()); err != nil {
		cancel()
		return Sample{}, errors.Join(err, receiving.wait())
	}
	published, err := feed.Settled()
	if err = errors.Join(err, sink.Expect(published)); err != nil {
		cancel()
	}
	if err := errors.Join(err, receiving.wait()); err != nil {
		return Sample{}, err
	}
	s.latencies(sink.Latencies())
	return s, p.empty(t, 0)
}

// window lets a running load warm up and then measures it.
func (p *Phases) window(ctx context.Context, sidecars []int, running running, count func() int, record func()) (Sample, error) {
	if err := running.last(ctx, p.opts.Warmup); err != nil {
		return Sample{}, err
	}
	record()
	before, err := p.read(sidecars, count())
	if err != nil {
		return Sample{}, err
	}
	if err := running.last(ctx, p.opts.Measured); err != nil {
		return Sample{}, err
	}
	after, err := p.meter.read(sidecars, count())
	return p.meter.between(before, after), err
}

// read reads the meter when the measured part of a phase begins.
func (p *Phases) read(sidecars []int, count int) (reading, error) {
	if p.Begin != nil {
		p.Begin()
	}
	return p.meter.read(sidecars, count)
}

// empty purges the queues and checks that they held want messages.
func (p *Phases) empty(t *Target, want int) error {
	got := 0
	for _, queue := range t.Queues {
		n, err := p.queue.QueuePurge(queue, false)
		if err != nil {
			return fmt.Errorf("purge queue %q: %w", queue, err)
		}
		got += n
	}
	return wantMessages(t.Queues, got, want)
}

// holds checks that the queues hold want messages.
func (p *Phases) holds(t *Target, want int) error {
	got := 0
	for _, queue := range t.Queues {
		q, err := p.queue.QueueDeclarePassive(queue, true, false, false, false, nil)
		if err != nil {
			return fmt.Errorf("look at queue %q: %w", queue, err)
		}
		got += q.Messages
	}
	return wantMessages(t.Queues, got, want)
}

func wantMessages(queues []string, got, want int) error {
	if got != want {
		return fmt.Errorf("%w: %d messages are in queues %q, want %d", ErrBooks, got, queues, want)
	}
	return nil
}

// latencies sets the percentiles.
func (s *Sample) latencies(all []time.Duration) {
	slices.Sort(all)
	s.P50, s.P99, s.P999 = stat.Rank(all, 0.5), stat.Rank(all, 0.99), stat.Rank(all, 0.999)
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
