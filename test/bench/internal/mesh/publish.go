package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// maxEntries bounds the events gathered in one request of a stream.
const maxEntries = 64

// newEvent returns an event whose body and id are filled in for each message.
func newEvent() (event *eventsv1.CloudEvent, body []byte) {
	body = make([]byte, load.Size)
	return &eventsv1.CloudEvent{
		Source: load.Source, SpecVersion: "1.0", Type: load.EventType,
		Attributes: map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
			"datacontenttype": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: load.ContentType}},
		},
		Data: &eventsv1.CloudEvent_BinaryData{BinaryData: body},
	}, body
}

// Unary implements load.Target. All callers share one connection.
func (m *Mesh) Unary(ctx context.Context, callers int, feed *load.Feed) error {
	g, ctx := errgroup.WithContext(ctx)
	for range callers {
		g.Go(func() error { return m.oneByOne(ctx, feed.Lane()) })
	}
	return g.Wait()
}

func (m *Mesh) oneByOne(ctx context.Context, lane *load.Lane) error {
	event, body := newEvent()
	request := &eventsv1.PublishRequest{Topic: topic, Event: event}
	for msg, ok := lane.Next(body); ok; msg, ok = lane.Next(body) {
		event.Id = msg.ID
		if _, err := m.publishing.Publish(ctx, request); err != nil {
			return fmt.Errorf("publish %s: %w", msg.ID, err)
		}
		lane.Confirmed(msg.Made)
	}
	return nil
}

// Stream implements load.Target. Whatever the window has room for goes into one
// request; nothing waits for more.
func (m *Mesh) Stream(ctx context.Context, window int, feed *load.Feed) error {
	ctx, cancel := context.WithCancel(ctx) // ends the stream, however this ends
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	stream, err := m.publishing.PublishStream(ctx)
	if err != nil {
		return fmt.Errorf("open publish stream: %w", err)
	}
	p := newPipeline(stream, window)
	g.Go(func() error { return p.send(ctx, feed.Lane()) })
	g.Go(func() error { return p.receive(feed.Lane()) })
	return g.Wait()
}

// pipeline is one publish stream. The request id of an event is the number of its
// slot, of which there are as many as the window has.
type pipeline struct {
	stream  eventsv1.EventService_PublishStreamClient
	entries []*eventsv1.PublishStreamEntry
	bodies  [][]byte
	made    []int64     // written before the request is sent, read after its result came
	free    chan uint64 // slots
}

func newPipeline(stream eventsv1.EventService_PublishStreamClient, window int) *pipeline {
	p := &pipeline{stream: stream, made: make([]int64, window), free: make(chan uint64, window)}
	for slot := range window {
		event, body := newEvent()
		p.entries = append(p.entries, &eventsv1.PublishStreamEntry{RequestId: uint64(slot), Event: event}) //nolint:gosec // small
		p.bodies = append(p.bodies, body)
		p.free <- uint64(slot) //nolint:gosec // small
	}
	return p
}

func (p *pipeline) send(ctx context.Context, lane *load.Lane) error {
	request := &eventsv1.PublishStreamRequest{Topic: topic}
	for more := true; more; {
		request.Entries = request.Entries[:0]
		select {
		case slot := <-p.free:
			request.Entries, more = p.gather(lane, request.Entries, slot)
		case <-ctx.Done():
			return nil // the receiving side says why
		}
		if len(request.Entries) == 0 {
			break
		}
		if err := p.stream.Send(request); err != nil {
			return ignoreEOF(err) // the receiving side knows why the stream broke
		}
	}
	return p.stream.CloseSend()
}

// gather fills slots as long as some are free and the feed yields.
func (p *pipeline) gather(lane *load.Lane, entries []*eventsv1.PublishStreamEntry, slot uint64) (_ []*eventsv1.PublishStreamEntry, more bool) {
	for {
		m, ok := lane.Next(p.bodies[slot])
		if !ok {
			return entries, false
		}
		p.entries[slot].Event.Id, p.made[slot] = m.ID, m.Made
		entries = append(entries, p.entries[slot])
		if len(entries) == maxEntries {
			return entries, true
		}
		select {
		case slot = <-p.free:
		default:
			return entries, true
		}
	}
}

func (p *pipeline) receive(lane *load.Lane) error {
	for {
		response, err := p.stream.Recv()
		if err != nil {
			return ignoreEOF(err)
		}
		for _, result := range response.GetResults() {
			if s := result.GetResult().GetStatus(); s.GetCode() != 0 {
				return fmt.Errorf("publish %s: code %d: %s", p.entries[result.GetRequestId()].GetEvent().GetId(), s.GetCode(), s.GetMessage())
			}
			lane.Confirmed(p.made[result.GetRequestId()])
			p.free <- result.GetRequestId() // never blocks: there is room for every slot
		}
	}
}

// ignoreEOF: a stream that the other side ended in order has no error.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
