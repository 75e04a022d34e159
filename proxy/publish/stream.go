package publish

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/rpcerr"
	"github.com/warrenmesh/warren/tracing"
)

const (
	// Window is how many unanswered events a publish stream may have; the sidecar
	// reads no further while it is full.
	Window = 1024
	// maxResults bounds the results gathered in one message.
	maxResults = 256
)

// stream is one PublishStream call:
//
//	reader ──requests──▶ dispatcher ──under way──▶ finisher ──results──▶ sender
//	 Recv                first try, in order        waits, in order       Send
//	                     └─── keys beside ───┘      └─ retries beside ─┘
//
// The window's slots are taken by the dispatcher and given back by the sender.
type stream struct {
	service  *Service
	grpc     grpc.BidiStreamingServer[eventsv1.PublishStreamRequest, eventsv1.PublishStreamResponse]
	requests chan *eventsv1.PublishStreamRequest
	readErr  chan error // cap 1
	underWay chan entry
	beside   sync.WaitGroup // events that others must not wait for: of a key, or repeated
	results  chan *eventsv1.PublishStreamResult
	slots    chan struct{}
}

// entry is one event of a stream that has been written, or was refused.
type entry struct {
	id      uint64
	transit *transit
	refused error
}

// PublishStream implements EventService.PublishStream. Events are written in the
// order they come; results come as they are known. Half-closing is the ordinary
// end: every event is answered first. When the client cancels, events that were
// written may still arrive at the broker. When the sidecar drains, what was
// accepted is answered and the stream ends with UNAVAILABLE, reason DRAINING;
// an event without an answer is of unknown outcome.
func (s *Service) PublishStream(g grpc.BidiStreamingServer[eventsv1.PublishStreamRequest, eventsv1.PublishStreamResponse]) error {
	ctx, cancel := context.WithCancel(g.Context())
	defer cancel()
	st := &stream{
		service: s, grpc: g,
		requests: make(chan *eventsv1.PublishStreamRequest),
		readErr:  make(chan error, 1),
		underWay: make(chan entry, Window),
		results:  make(chan *eventsv1.PublishStreamResult, maxResults),
		slots:    make(chan struct{}, Window),
	}
	go st.read(ctx) // ends when this call has returned, for then Recv fails

	var workers sync.WaitGroup
	var ended error
	workers.Go(func() {
		defer close(st.underWay)
		ended = st.dispatch(ctx)
	})
	workers.Go(func() {
		defer close(st.results)
		st.finish()
	})
	sendErr := st.send()
	cancel() // after a failed Send nothing more can be answered
	for range st.results {
		<-st.slots
	}
	workers.Wait()
	if sendErr != nil {
		return sendErr
	}
	return ended
}

func (st *stream) read(ctx context.Context) {
	for {
		req, err := st.grpc.Recv()
		if err != nil {
			st.readErr <- err
			return
		}
		select {
		case st.requests <- req:
		case <-ctx.Done():
			return
		}
	}
}

// dispatch writes entries until the client half-closes (nil), the stream breaks,
// or the sidecar drains.
func (st *stream) dispatch(ctx context.Context) error {
	for {
		select {
		case req := <-st.requests:
			for _, e := range req.GetEntries() {
				if !st.depart(ctx, req.GetTopic(), e) {
					return ctx.Err()
				}
			}
		case err := <-st.readErr:
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		case <-st.service.draining:
			return rpcerr.Unavailable(rpcerr.Draining, "the sidecar is shutting down")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// depart writes one entry when the window has a place for it.
func (st *stream) depart(ctx context.Context, topic string, e *eventsv1.PublishStreamEntry) bool {
	select {
	case st.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	if e.GetTopic() != "" {
		topic = e.GetTopic()
	}
	ctx = tracing.Extract(ctx, e.GetTraceContext())
	t, err := st.service.departEvent(ctx, time.Now().Add(defaultDeadline), topic, e, st.service.hold)
	under := entry{id: e.GetRequestId(), transit: t, refused: err}
	if err == nil && t.place != nil {
		st.beside.Go(func() { st.answer(under, st.service.result(t, st.service.wait(t))) })
		return true
	}
	st.underWay <- under
	return true
}

// finish waits for the entries' first tries in order. One that failed is retried
// beside the others, so that it does not hold them up.
func (st *stream) finish() {
	for e := range st.underWay {
		if e.refused != nil {
			st.answer(e, failed(e.refused))
			continue
		}
		if err := st.service.wait(e.transit); err != nil {
			st.beside.Go(func() { st.answer(e, st.service.result(e.transit, err)) })
			continue
		}
		st.answer(e, st.service.result(e.transit, nil))
	}
	st.beside.Wait()
}

func (st *stream) answer(e entry, r *eventsv1.PublishResult) {
	st.results <- &eventsv1.PublishStreamResult{RequestId: e.id, Result: r}
}

// send answers until there is nothing more to answer. Results that are known at
// the same time go in one message.
func (st *stream) send() error {
	for first := range st.results {
		res := &eventsv1.PublishStreamResponse{Window: Window, Results: []*eventsv1.PublishStreamResult{first}}
		st.gather(res)
		err := st.grpc.Send(res)
		for range res.GetResults() {
			<-st.slots
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (st *stream) gather(res *eventsv1.PublishStreamResponse) {
	for len(res.GetResults()) < maxResults {
		select {
		case r, ok := <-st.results:
			if !ok {
				return
			}
			res.Results = append(res.Results, r)
		default:
			return
		}
	}
}
