package report

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	reportv1 "github.com/warrenmesh/warren/api/report/v1"
	"github.com/warrenmesh/warren/internal/clip"
)

// Gauge measures queues of brokers.
type Gauge interface {
	// Gauge measures one queue; it returns at the latest when ctx ends. It is called by one
	// goroutine at a time.
	Gauge(ctx context.Context, broker, queue string) Reading
}

// Reading is what a broker says of a queue.
type Reading struct {
	Messages, Consumers int
	Missing             bool  // there is none of that name
	Err                 error // why it is not known; set when it is missing, too
	Down                bool  // nobody can say at the moment
}

const (
	// perRound bounds the queues that are measured in one interval, so that a broker with
	// thousands is not kept busy; the others follow.
	perRound = 200
	// pardon is how many intervals a queue rests that could not be measured: each try that
	// RabbitMQ refuses is an error in its log.
	pardon = 12
)

// measurer measures what the control plane asks for, one queue after the other, so that
// slow brokers do not delay reports.
type measurer struct {
	gauge    Gauge
	interval time.Duration
	wake     chan struct{} // holds a token when there is a new assignment

	mu    sync.Mutex
	tasks []*task              // in turn
	done  []*reportv1.Measured // what is not reported yet
}

// task is one queue to measure.
type task struct {
	broker, queue string
	rests         int // intervals
}

func newMeasurer(g Gauge, interval time.Duration) *measurer {
	return &measurer{gauge: g, interval: interval, wake: make(chan struct{}, 1)}
}

// assign replaces what is to be measured.
func (m *measurer) assign(a *reportv1.Assignment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := make(map[task]*task, len(m.tasks))
	for _, t := range m.tasks {
		known[task{broker: t.broker, queue: t.queue}] = t
	}
	m.tasks = nil
	for _, b := range a.GetBrokers() {
		for _, queue := range b.GetQueues() {
			t := known[task{broker: b.GetBroker(), queue: queue}]
			if t == nil {
				t = &task{broker: b.GetBroker(), queue: queue}
			}
			m.tasks = append(m.tasks, t)
		}
	}
	select {
	case m.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// take returns what was measured since the last call.
func (m *measurer) take() []*reportv1.Measured {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.done
	m.done = nil
	return out
}

// run measures until ctx ends, and sleeps as long as nothing is to be measured.
func (m *measurer) run(ctx context.Context) {
	tick := time.NewTicker(m.interval)
	tick.Stop()
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
			tick.Reset(m.interval)
		case <-tick.C:
		}
		if !m.round(ctx) {
			tick.Stop()
		}
	}
}

// round measures what has its turn, and reports whether there is anything to measure.
func (m *measurer) round(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, m.interval)
	defer cancel()
	for _, t := range m.turn() {
		r := m.gauge.Gauge(ctx, t.broker, t.queue)
		if ctx.Err() != nil {
			break
		}
		m.note(t, &r)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.tasks) > 0
}

// turn returns the queues whose turn it is, and puts them behind the others.
func (m *measurer) turn() (out []*task) {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := 0
	for ; first < len(m.tasks) && len(out) < perRound; first++ {
		if t := m.tasks[first]; t.rests > 0 {
			t.rests--
		} else {
			out = append(out, t)
		}
	}
	m.tasks = append(m.tasks[first:len(m.tasks):len(m.tasks)], m.tasks[:first]...)
	return out
}

// note keeps a reading for the next report.
func (m *measurer) note(t *task, r *Reading) {
	if r.Down {
		return // the state of the nodes says so
	}
	is := &reportv1.Measured{Broker: t.broker, Queue: t.queue, Messages: uint64(max(r.Messages, 0)), Consumers: uint32(max(r.Consumers, 0))} //nolint:gosec // counts
	if r.Err != nil {
		is.Error, is.Missing = Text(r.Err.Error()), r.Missing
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.Err != nil {
		t.rests = pardon
	}
	if len(m.done) < MaxEntries {
		m.done = append(m.done, is)
	}
}

// Text is what a report says of s, which may be long and may be no UTF-8: RabbitMQ and
// other programs word it. The control plane keeps as much.
func Text(s string) string { return strings.ToValidUTF8(clip.String(s, maxTextBytes), "\uFFFD") }

// maxTextBytes bounds one text of a report.
const maxTextBytes = 300

var errNoGauge = errors.New("the broker cannot tell how much is in a queue")

// Unable is the reading of a broker that cannot be measured.
func Unable() Reading { return Reading{Err: errNoGauge} }
