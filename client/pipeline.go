package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

const (
	// maxEntries bounds the events gathered in one request.
	maxEntries = 64
	// fullRequest is how many bytes end the gathering. One event of 16 MiB may still
	// follow them: the request stays below the 17 MiB that the sidecar reads.
	fullRequest = 512 << 10
	// entryFrame is what an entry takes besides its fields: its request id and length.
	entryFrame = 16
)

// Pipeline publishes events through one PublishStream: no event waits for the confirm
// of another. Calls of Publish under way at once are the window; keep it below the
// sidecar's own, 1024, or Publish waits for longer. The fields are not changed after
// the first use.
type Pipeline struct {
	// Client of the sidecar; required.
	Client *Client
	// Backoff before a new stream; it doubles up to 20 times that, with jitter. 0
	// means 100 ms.
	Backoff time.Duration
	// Lost is told of each stream that ended, why, and how long until the next; nil
	// means that nobody wants to know. It is called by Run.
	Lost func(err error, again time.Duration)

	once  sync.Once
	queue chan *request // to the stream there is
}

// request is one event.
type request struct {
	entry  *eventsv1.PublishStreamEntry
	size   int         // in bytes, as sent
	answer chan Result // cap 1: nobody waits for who left
}

// Publish publishes one event, once, as Client.Publish does. It waits until ctx ends
// while Run does not run. An event that was sent and not answered before ctx or its
// stream ended is of Unknown outcome. ctx's trace context goes with the event.
func (p *Pipeline) Publish(ctx context.Context, topic string, event *eventsv1.CloudEvent) (*eventsv1.PublishResponse, error) {
	return p.PublishEntry(ctx, &eventsv1.PublishStreamEntry{Topic: topic, Event: event, TraceContext: hopOf(ctx)})
}

// PublishEntry is Publish with headers and the other fields of an entry. The pipeline
// sets the request id; do not change the entry, or give it to another pipeline, before
// Run has ended. An entry that cannot be sent fails at once, NotSent, and does not block
// others: RESOURCE_EXHAUSTED means more than 16.5 MiB, INVALID_ARGUMENT text that is not
// UTF-8.
func (p *Pipeline) PublishEntry(ctx context.Context, entry *eventsv1.PublishStreamEntry) (*eventsv1.PublishResponse, error) {
	p.init()
	size, err := sizeOf(entry)
	if err != nil {
		return nil, errorOf(err, false)
	}
	r := &request{entry: entry, size: size, answer: make(chan Result, 1)}
	select {
	case p.queue <- r:
	case <-ctx.Done():
		return nil, errorOf(status.FromContextError(ctx.Err()).Err(), false)
	}
	select {
	case a := <-r.answer:
		return a.Response, a.Err
	case <-ctx.Done(): // an answer that comes now is nobody's
		return nil, errorOf(status.FromContextError(ctx.Err()).Err(), true)
	}
}

// sizeOf encodes an entry to learn its size. gRPC ends the stream for a message that it
// cannot send, and all others on it would pay for one bad event.
func sizeOf(entry *eventsv1.PublishStreamEntry) (int, error) {
	encoded, err := proto.Marshal(entry)
	size := len(encoded) + entryFrame
	switch {
	case err != nil:
		return 0, status.Errorf(codes.InvalidArgument, "encode event: %v", err)
	case size > maxEntry:
		return 0, status.Errorf(codes.ResourceExhausted, "the event has %d bytes, more than %d", size, maxEntry)
	default:
		return size, nil
	}
}

func (p *Pipeline) init() { p.once.Do(func() { p.queue = make(chan *request) }) }

// Run keeps a stream open until ctx ends: one that breaks is opened again after a
// backoff. When ctx ends it waits for the answers of what was sent, at most 3 s. It
// runs once at a time.
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
		if errors.Is(err, io.EOF) {
			err = errEnded
		}
		if p.Lost != nil {
			p.Lost(errorOf(err, answered), delay)
		}
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
	opening := context.AfterFunc(ctx, cancel) // else it would wait for a sidecar that is away
	stream, err := p.Client.api.PublishStream(streamCtx)
	if err != nil {
		return false, err
	}
	opening()
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

// gather takes what waits to be sent, until a request is full.
func (p *Pipeline) gather(first *request) []*request {
	batch := []*request{first}
	for size := first.size; len(batch) < maxEntries && size < fullRequest; {
		select {
		case r := <-p.queue:
			batch = append(batch, r)
			size += r.size
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
				r.answer <- resultOf(result.GetResult())
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
		r.answer <- Result{Err: errorOf(status.Error(codes.Unavailable, fmt.Sprintf("no answer before the stream ended: %v", reason)), true)}
	}
	return f.answered
}
