package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// maxEntries bounds the events gathered in one request.
const maxEntries = 64

// Pipeline publishes events through one PublishStream: no event waits for the
// confirm of another. Calls of Publish under way at once are the window; keep it
// below the sidecar's own, 1024.
type Pipeline struct {
	// Client of the sidecar.
	Client eventsv1.EventServiceClient
	// Timeout of one try; 0 means 15 s. The sidecar itself answers within 10 s.
	Timeout time.Duration
	// Backoff before the first repetition of an event and before a new stream; it
	// doubles up to 20 times that. 0 means 100 ms.
	Backoff time.Duration
	// Log gets a line for each lost stream.
	Log *slog.Logger

	once  sync.Once
	queue chan *request // to the stream there is
}

// request is one try of one event.
type request struct {
	entry  *eventsv1.PublishStreamEntry
	answer chan answer // cap 1: nobody waits for who left
}

type answer struct {
	response *eventsv1.PublishResponse
	err      error
}

// Publish sends one event and returns the sidecar's answer and the number of tries
// it took. It must be called while Run runs. An event whose try failed in a way that
// may pass, or got no answer before its stream broke, is sent again with the same id
// until ctx ends. Any other failure is returned at once. ctx's trace context goes
// with the event.
func (p *Pipeline) Publish(ctx context.Context, topic string, event *eventsv1.CloudEvent) (*eventsv1.PublishResponse, int, error) {
	hop := make(map[string]string)
	propagation.TraceContext{}.Inject(ctx, propagation.MapCarrier(hop))
	return untilConfirmed(ctx, event.GetId(), newBackoff(p.Backoff), func() (*eventsv1.PublishResponse, error) {
		return p.try(ctx, &eventsv1.PublishStreamEntry{Topic: topic, Event: event, TraceContext: hop})
	})
}

func (p *Pipeline) init() { p.once.Do(func() { p.queue = make(chan *request) }) }

// try waits for one answer. An answer that comes after its time is nobody's.
func (p *Pipeline) try(ctx context.Context, entry *eventsv1.PublishStreamEntry) (*eventsv1.PublishResponse, error) {
	p.init()
	timeout := p.Timeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r := &request{entry: entry, answer: make(chan answer, 1)}
	select {
	case p.queue <- r:
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	select {
	case a := <-r.answer:
		return a.response, a.err
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

// Run keeps a stream open until ctx ends: one that breaks is opened again after a
// backoff. When ctx ends it waits for the answers of what was sent, at most 3 s.
func (p *Pipeline) Run(ctx context.Context) {
	p.init()
	wait := newBackoff(p.Backoff)
	for ctx.Err() == nil {
		answered, err := p.serve(ctx)
		if ctx.Err() != nil {
			return
		}
		if answered {
			wait.Reset()
		}
		delay := wait.NextBackOff()
		p.Log.Warn("publish stream ended", "error", err, "again_in", delay.String())
		if sleep(ctx, delay) != nil {
			return
		}
	}
}

// serve lives as long as one stream, and answers all that was sent on it. It
// reports whether the sidecar ever answered.
func (p *Pipeline) serve(ctx context.Context) (answered bool, err error) {
	streamCtx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it outlives ctx, for the last answers
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, cancel) })()
	stream, err := p.Client.PublishStream(streamCtx)
	if err != nil {
		return false, err
	}
	f := &flight{stream: stream, open: make(map[uint64]*request)}
	ended := make(chan error, 1)
	var receiving sync.WaitGroup
	receiving.Go(func() { ended <- f.receive() })
	defer func() {
		cancel()
		receiving.Wait()
		answered = f.abandon(err)
	}()
	for {
		select {
		case r := <-p.queue:
			if f.send(p.gather(r)) != nil {
				return false, <-ended // Send knows that the stream broke, Recv knows why
			}
		case err := <-ended:
			return false, err
		case <-ctx.Done():
			return false, errors.Join(stream.CloseSend(), <-ended)
		}
	}
}

// gather takes all that waits to be sent.
func (p *Pipeline) gather(first *request) []*request {
	batch := []*request{first}
	for len(batch) < maxEntries {
		select {
		case r := <-p.queue:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// flight is the state of one stream: one goroutine sends, one receives.
type flight struct {
	stream eventsv1.EventService_PublishStreamClient

	mu       sync.Mutex // guards all below
	open     map[uint64]*request
	last     uint64 // request id
	answered bool
}

func (f *flight) send(batch []*request) error {
	return f.stream.Send(&eventsv1.PublishStreamRequest{Entries: f.number(batch)})
}

// number gives each request an id of this stream.
func (f *flight) number(batch []*request) []*eventsv1.PublishStreamEntry {
	f.mu.Lock()
	defer f.mu.Unlock()
	entries := make([]*eventsv1.PublishStreamEntry, len(batch))
	for i, r := range batch {
		f.last++
		r.entry.RequestId = f.last
		f.open[f.last] = r
		entries[i] = r.entry
	}
	return entries
}

// receive hands out answers, in whatever order they come, until the stream ends.
func (f *flight) receive() error {
	for {
		resp, err := f.stream.Recv()
		if err != nil {
			return err
		}
		f.mu.Lock()
		f.answered = true
		for _, result := range resp.GetResults() {
			if r, ok := f.open[result.GetRequestId()]; ok {
				delete(f.open, result.GetRequestId())
				r.answer <- answer{result.GetResult().GetResponse(), statusError(result.GetResult().GetStatus())}
			}
		}
		f.mu.Unlock()
	}
}

// abandon answers what the sidecar has not: the outcome is unknown.
func (f *flight) abandon(reason error) (answered bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, r := range f.open {
		delete(f.open, id)
		r.answer <- answer{err: status.Error(codes.Unavailable, fmt.Sprintf("no answer before the stream ended: %v", reason))}
	}
	return f.answered
}
