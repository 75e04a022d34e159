package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// faults are what happens to the message with the number faulty.
type faults struct{ lose, twice, nacks bool }

const faulty = 3

// memory is a broker with one queue, and a target of it.
type memory struct {
	faults

	mu    sync.Mutex
	queue [][]byte
}

func (m *memory) QueuePurge(string, bool) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.queue)
	m.queue = nil
	return n, nil
}

func (m *memory) QueueDeclarePassive(string, bool, bool, bool, bool, amqp.Table) (amqp.Queue, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return amqp.Queue{Messages: len(m.queue)}, nil
}

func (m *memory) Unary(_ context.Context, _ int, feed *load.Feed) error {
	lane, body := feed.Lane(), make([]byte, feed.Size())
	for msg, ok := lane.Next(body); ok; msg, ok = lane.Next(body) {
		at, copies := msg.Number == faulty, 1
		switch {
		case at && m.lose:
			copies = 0
		case at && m.twice:
			copies = 2
		}
		m.mu.Lock()
		for range copies {
			m.queue = append(m.queue, bytes.Clone(body))
		}
		m.mu.Unlock()
		if !at || !m.nacks {
			lane.Confirmed(msg.Made)
		}
		runtime.Gosched()
	}
	return nil
}

func (m *memory) Stream(ctx context.Context, streams, _ int, feed *load.Feed) error {
	return m.Unary(ctx, streams, feed)
}

func (m *memory) Batch(ctx context.Context, _ int, feed *load.Feed) error {
	return m.Unary(ctx, 1, feed)
}

func (m *memory) Receive(ctx context.Context, sink *load.Sink) error {
	sink.Open()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		m.mu.Lock()
		queue := m.queue
		m.queue = nil
		m.mu.Unlock()
		for _, body := range queue {
			if err := sink.Receive(body, false); err != nil {
				return err
			}
		}
		select {
		case <-sink.Done():
			return nil
		case <-ctx.Done():
			return fmt.Errorf("receive: %w", context.Cause(ctx))
		case <-poll.C:
		}
	}
}

// phasesOf measures m briefly.
func phasesOf(m *memory) (*Phases, *Target) {
	p := New(new(Meter), m, Options{Measured: 40 * time.Millisecond, Warmup: 5 * time.Millisecond, Drain: 300})
	p.patience = 500 * time.Millisecond
	return p, &Target{Target: m, Name: "memory", Queues: []string{"q"}, Log: func() string { return "its log" }}
}

func TestAPhaseWhoseBooksBalanceHasFigures(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{Unary, Stream, Batch, Drain, EndToEnd} {
		m := &memory{}
		p, target := phasesOf(m)
		s, err := p.Measure(t.Context(), target, Workload{Name: "w", Kind: kind, N: 8, Size: 100})
		if err != nil || s.Rate <= 0 || len(m.queue) != 0 {
			t.Errorf("kind %d: %+v, %v, %d messages left", kind, s, err, len(m.queue))
		}
		if (s.P50 == 0) != (kind == Drain) || s.P50 > s.P99 || s.P99 > s.P999 {
			t.Errorf("kind %d has latencies %v, %v, %v", kind, s.P50, s.P99, s.P999)
		}
	}
}

func TestAFixedRateIsKept(t *testing.T) {
	t.Parallel()
	p, target := phasesOf(&memory{})
	p.opts.Measured = 200 * time.Millisecond
	s, err := p.Measure(t.Context(), target, Workload{Name: "w", Kind: EndToEnd, N: 100, Rate: 500})
	if err != nil || s.Rate < 300 || s.Rate > 700 {
		t.Errorf("%+v, %v; want 500 messages a second", s, err)
	}
}

func TestBooksThatDoNotBalanceAreAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		faults faults
		kinds  []Kind
		want   string
	}{
		"lost":          {faults{lose: true}, []Kind{Unary, Stream, Batch, Drain}, "the books do not balance"},
		"lost on a way": {faults{lose: true}, []Kind{EndToEnd}, "is stuck"},
		"repeated":      {faults{twice: true}, []Kind{Unary, Stream, Batch, Drain}, "the books do not balance"},
		"come twice":    {faults{twice: true}, []Kind{EndToEnd}, "received a message twice"},
		"unconfirmed":   {faults{nacks: true}, []Kind{Unary, Stream, Batch, Drain, EndToEnd}, "the books do not balance"},
	} {
		for _, kind := range c.kinds {
			m := &memory{faults: c.faults}
			p, target := phasesOf(m)
			s, err := p.Measure(t.Context(), target, Workload{Name: "w", Kind: kind, N: 8})
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "its log") {
				t.Errorf("%s, kind %d: %+v, %v; want %s", name, kind, s, err, c.want)
			}
		}
	}
}

func TestTheBooksErrorIsThatOfTheQueue(t *testing.T) {
	t.Parallel()
	if err := wantMessages([]string{"q"}, 2, 3); !errors.Is(err, ErrBooks) || !strings.Contains(err.Error(), "2 messages") {
		t.Errorf("the error is %v", err)
	}
	if err := wantMessages(nil, 3, 3); err != nil {
		t.Error(err)
	}
}
