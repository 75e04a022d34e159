package load

import (
	"context"
	"slices"
	"sync"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/history"
)

// pipeline is a publisher's stream, over all streams that it opens:
//
//	writer ── window ──▶ sidecar ──▶ reader ── again ──▶ writer
//
// The writer sends events, repeats first; the reader records the answers. When a stream
// breaks, its unanswered events have an unknown outcome and are repeated on the next
// stream, in order.
type pipeline struct {
	*Publisher
	data []byte

	mu      sync.Mutex // guards the rest
	pending map[uint64]flying
	again   []flying      // events to repeat, in the order in which they were first sent
	room    chan struct{} // signalled, cap 1, when pending or again changes
}

// flying is an event that was sent and not answered, or that is to be repeated.
type flying struct {
	numbered
	call  history.Call
	place uint64 // in the order of first sends
	since time.Time
}

// Stream publishes as a pipeline with at most window unanswered events.
func (p Publisher) Stream(ctx context.Context, stop <-chan struct{}, window int) {
	p = p.withDefaults()
	l := &pipeline{Publisher: &p, data: p.payload(), pending: map[uint64]flying{}, room: make(chan struct{}, 1)}
	events, pace := p.counter(), newPace(p.Rate)
	for !l.session(ctx, stop, window, events, pace) {
		if !sleep(ctx, nil, repeatAfter) {
			return
		}
	}
}

// session runs one stream. It reports whether no event is left.
func (l *pipeline) session(ctx context.Context, stop <-chan struct{}, window int, events *counter, pace *pace) (done bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.Client.PublishStream(ctx)
	if err != nil {
		return ctx.Err() != nil
	}
	var reading sync.WaitGroup
	broken := make(chan struct{})
	reading.Go(func() {
		defer close(broken)
		l.read(stream)
	})
	defer func() {
		cancel()
		reading.Wait()
		l.lose()
		done = done || l.empty() && isClosed(stop)
	}()
	for {
		e, ok := l.take(window)
		switch {
		case ok:
		case l.waits(window):
			if !l.await(broken) {
				return ctx.Err() != nil
			}
			continue
		case l.more(events.n) && pace.wait(ctx, stop, 1):
			n := events.next()
			e = flying{numbered: n, place: events.n, since: time.Now()}
		case l.empty():
			_ = stream.CloseSend()
			<-broken
			return true
		default:
			if !l.await(broken) {
				return ctx.Err() != nil
			}
			continue
		}
		if l.send(stream, e) != nil {
			return ctx.Err() != nil
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// take returns the first event to repeat that the window has room for.
func (l *pipeline) take(window int) (flying, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.again) == 0 || len(l.pending) >= window {
		return flying{}, false
	}
	e := l.again[0]
	l.again = l.again[1:]
	return e, true
}

// waits reports whether the window is full.
func (l *pipeline) waits(window int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending) >= window
}

// empty reports whether every event is settled.
func (l *pipeline) empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending)+len(l.again) == 0
}

// await blocks until something changes. It returns false when the stream is broken.
func (l *pipeline) await(broken <-chan struct{}) bool {
	select {
	case <-l.room:
		return true
	case <-broken:
		return false
	}
}

func (l *pipeline) changed() {
	select {
	case l.room <- struct{}{}:
	default:
	}
}

// send writes one event. Its place is its request id, which is unique: a repeat is sent
// only after the call before it was answered.
func (l *pipeline) send(stream eventsv1.EventService_PublishStreamClient, e flying) error {
	e.call = l.begin(e.numbered, 0)
	l.mu.Lock()
	l.pending[e.place] = e
	l.mu.Unlock()
	return stream.Send(&eventsv1.PublishStreamRequest{Topic: l.Topic, Entries: []*eventsv1.PublishStreamEntry{
		{RequestId: e.place, Event: e.proto(l.Type, l.data)},
	}})
}

// read records answers until the stream ends.
func (l *pipeline) read(stream eventsv1.EventService_PublishStreamClient) {
	for {
		res, err := stream.Recv()
		if err != nil {
			return
		}
		l.mu.Lock()
		for _, r := range res.GetResults() {
			if e, ok := l.pending[r.GetRequestId()]; ok {
				l.answer(e, answerOf(r.GetResult()))
			}
		}
		l.mu.Unlock()
		l.changed()
	}
}

// answer records an answer, and keeps the event when it must be repeated. The lock is
// held.
func (l *pipeline) answer(e flying, a history.Answer) {
	delete(l.pending, e.place)
	l.Recorder.Answer(e.call, a)
	if settled(e.numbered, a.Result) || time.Since(e.since) > l.GiveUp {
		return
	}
	e.repeat++
	at, _ := slices.BinarySearchFunc(l.again, e.place, func(x flying, place uint64) int { return int(x.place) - int(place) }) //nolint:gosec // small
	l.again = slices.Insert(l.again, at, e)
}

// lose records as unknown the events that a broken stream left unanswered.
func (l *pipeline) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.pending {
		l.answer(e, history.Answer{Result: history.Unknown, Code: "UNAVAILABLE", Reason: "STREAM_ENDED"})
	}
	l.changed()
}
