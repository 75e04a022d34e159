package publish

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/proxy/publish/passage"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

const (
	// Window is how many unanswered events a publish stream may have; the sidecar
	// reads no further while it is full.
	Window = 1024
	// ownWindow of them are a stream's own. Those beyond are there while the clients of
	// all streams together leave few results unread.
	ownWindow = 64
	// resultBytes is about what a result costs besides the event's id, ownID the length
	// of an id that costs nothing more.
	resultBytes = 512
	ownID       = 1024
	// maxResults bounds the results gathered in one message.
	maxResults = 256
	// defaultUnreadFor is Options.UnreadFor unless set.
	defaultUnreadFor = 30 * time.Second
)

// stream is one stream:
//
//	reader ──requests──▶ dispatcher ──under way──▶ finisher ──results──▶ sender
//	 Receive             first try, in order        waits, in order       Send
//	                     └─── keys beside ───┘      └─ retries beside ─┘
//
// The window's slots are taken by the dispatcher and given back by the sender. Nothing
// but the sender waits for the client to read: an event that is confirmed leaves what
// is in flight whether or not anybody wants to know.
type stream struct {
	service  *Service
	client   Stream
	requests chan Request
	readErr  chan error // cap 1
	underWay chan entry
	beside   sync.WaitGroup // events that others must not wait for: of a key, or repeated
	results  *outbox
	slots    chan struct{}
	sending  atomic.Int64 // when the Send under way began, in Unix nanoseconds; 0 when none is
}

// entry is one event of a stream that has been written, or was refused.
type entry struct {
	id      uint64
	took    int64 // of Options.Unread
	transit *passage.Transit
	refused error
}

// PublishStream serves a client's stream until it ends. Events are written in the
// order they come; results come as they are known. Half-closing is the ordinary
// end: every event is answered first. When the client cancels, events that were
// written may still arrive at the broker. When the sidecar drains, what was
// accepted is answered and the stream ends with the refusal DRAINING;
// an event without an answer is of unknown outcome.
//
// A client that does not read its results is read no further, and when it has not for
// Options.UnreadFor its stream ends with the refusal BUFFER_FULL.
func (s *Service) PublishStream(client Stream) error {
	ctx, cancel := context.WithCancel(tracecontext.Without(client.Context()))
	defer cancel()
	st := &stream{
		service: s, client: client,
		requests: make(chan Request),
		readErr:  make(chan error, 1),
		underWay: make(chan entry, Window),
		results:  newOutbox(),
		slots:    make(chan struct{}, Window),
	}
	go st.read(ctx) // ends when this call has returned, for then Receive fails
	ended := make(chan error, 1)
	go func() { ended <- st.run(ctx, cancel) }()
	return st.await(ended)
}

// await returns when the stream has ended, or when its client has not read for too
// long: then the rest ends after this call, when the door fails the Send under way.
func (st *stream) await(ended <-chan error) error {
	patience := st.service.opts.UnreadFor
	tick := time.NewTicker(patience)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case now := <-tick.C:
			if began := st.sending.Load(); began != 0 && now.UnixNano()-began >= int64(patience) {
				return refusal.Full(refusal.BufferFull, "the client has not read its results for "+patience.String())
			}
		}
	}
}

// run is the whole of the stream but its reader.
func (st *stream) run(ctx context.Context, cancel context.CancelFunc) error {
	var workers sync.WaitGroup
	var ended error
	workers.Go(func() {
		defer close(st.underWay)
		ended = st.dispatch(ctx)
	})
	workers.Go(func() {
		defer st.results.close()
		st.finish()
	})
	sendErr := st.send()
	cancel() // after a failed Send nothing more can be answered
	for answers := st.results.take(); len(answers) > 0; answers = st.results.take() {
		st.give(answers)
	}
	workers.Wait()
	if sendErr != nil {
		return sendErr
	}
	return ended
}

func (st *stream) read(ctx context.Context) {
	for {
		r, err := st.client.Receive()
		if err != nil {
			st.readErr <- err
			return
		}
		if !st.hold(ctx, r) {
			st.readErr <- refusal.Full(refusal.BufferFull, "the sidecar holds as many large requests of streams as it may; nothing of the last one was sent")
			return
		}
		select {
		case st.requests <- r:
		case <-ctx.Done():
			st.release(r)
			return
		}
	}
}

// nothing is a request that asks for nothing.
var nothing = Request{Batch: Batch{Entries: func(func(*Entry) bool) {}}}

// hold takes what a request costs in memory, and reports whether there was room. What is
// read while the one before it is still being written may take half of the room: the
// rest is for streams that hold nothing yet. The dispatcher takes another when it is
// done with the one before.
func (st *stream) hold(ctx context.Context, r Request) bool {
	if r.Held == 0 || st.service.opts.Held.TryTakeOf(r.Held, 2) {
		return true
	}
	select {
	case st.requests <- nothing:
		return st.service.opts.Held.TryTake(r.Held)
	case <-ctx.Done():
		return false
	}
}

// release gives back what a request took.
func (st *stream) release(r Request) {
	if r.Held > 0 {
		st.service.opts.Held.Give(r.Held)
	}
}

// dispatch writes entries until the client half-closes (nil), the stream breaks,
// or the sidecar drains.
func (st *stream) dispatch(ctx context.Context) error {
	for {
		select {
		case req := <-st.requests:
			if !st.departAll(ctx, req) {
				return ctx.Err()
			}
		case err := <-st.readErr:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-st.service.draining:
			return refusal.Later(refusal.Draining, "the sidecar is shutting down")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// departAll writes the entries of a request.
func (st *stream) departAll(ctx context.Context, req Request) bool {
	defer st.release(req)
	together := st.service.sender.Gather()
	defer together.Write()
	for e := range req.Entries {
		if !st.depart(ctx, req.Topic, e, &together) {
			return false
		}
	}
	return true
}

// depart writes one entry when the window has a place for it, with those gathered before.
func (st *stream) depart(ctx context.Context, topic string, e *Entry, together *passage.Gathering) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case st.slots <- struct{}{}:
	default:
		together.Write()
		select {
		case st.slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
	}
	took, ok := st.widen(ctx, e.idLen(), together)
	if !ok {
		return false
	}
	if e.Topic != "" {
		topic = e.Topic
	}
	ctx = e.Trace.Into(ctx)
	admit := func(ctx context.Context, deadline time.Time, bytes int64) error {
		return st.service.hold(ctx, deadline, bytes, together)
	}
	t, err := st.service.departEntry(ctx, time.Now().Add(defaultDeadline), topic, e, admit, together)
	under := entry{id: e.ID, took: took, transit: t, refused: err}
	if err == nil && t.Ordered() {
		st.beside.Go(func() { st.answer(under, st.service.result(t, st.service.sender.Wait(t))) })
		return true
	}
	st.underWay <- under
	return true
}

// widen waits until the result of an event with such an id may be kept until the client
// reads it, and returns what that takes of Options.Unread: nothing within the stream's
// own window.
func (st *stream) widen(ctx context.Context, id int, together *passage.Gathering) (took int64, ok bool) {
	if len(st.slots) <= ownWindow && id <= ownID {
		return 0, true
	}
	took = int64(resultBytes + id)
	if st.service.opts.Unread.TryTake(took) {
		return took, true
	}
	together.Write()
	tick := time.NewTicker(holdPeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if len(st.slots) <= ownWindow && id <= ownID {
				return 0, true
			}
			if st.service.opts.Unread.TryTake(took) {
				return took, true
			}
		case <-ctx.Done():
			return 0, false
		}
	}
}

// finish waits for the entries' first tries in order. One that failed is retried
// beside the others, so that it does not hold them up.
func (st *stream) finish() {
	for e := range st.underWay {
		if e.refused != nil {
			st.answer(e, Result{Err: e.refused})
			continue
		}
		if err := st.service.sender.Wait(e.transit); err != nil {
			st.beside.Go(func() { st.answer(e, st.service.result(e.transit, err)) })
			continue
		}
		st.answer(e, st.service.result(e.transit, nil))
	}
	st.beside.Wait()
}

func (st *stream) answer(e entry, r Result) {
	st.results.put(answer{StreamResult{e.id, r}, e.took})
}

// send answers until there is nothing more to answer. Results that are known at
// the same time go in one message.
func (st *stream) send() error {
	var results []StreamResult
	for answers := st.results.take(); len(answers) > 0; answers = st.results.take() {
		results = results[:0]
		for _, a := range answers {
			results = append(results, a.StreamResult)
		}
		st.sending.Store(time.Now().UnixNano())
		err := st.client.Send(results)
		st.sending.Store(0)
		st.give(answers)
		if err != nil {
			return err
		}
	}
	return nil
}

// give gives back what answers had of the window.
func (st *stream) give(answers []answer) {
	for _, a := range answers {
		if a.took > 0 {
			st.service.opts.Unread.Give(a.took)
		}
		<-st.slots
	}
}
