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

// maxEntries bounds the events in one request of a stream.
const maxEntries = 64

// newEvent returns an event. The caller sets the id and the body for each message.
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

// Stream implements load.Target. One request carries as many events as the window has
// room for; it does not wait for more.
func (m *Mesh) Stream(ctx context.Context, window int, feed *load.Feed) error {
	ctx, cancel := context.WithCancel(ctx) // ends the stream in every case
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

// pipeline is one publish stream. The request id of an event is the number of its slot;
// the window has one slot for each unconfirmed event.
type pipeline struct {
	stream  eventsv1.EventService_PublishStreamClient
	entries []*eventsv1.PublishStreamEntry
	bodies  [][]byte
	made    []int64     // written before the request is sent, read after its result arrived
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
			return nil // the goroutine that receives returns the error
		}
		if len(request.Entries) == 0 {
			break
		}
		if err := p.stream.Send(request); err != nil {
			return ignoreEOF(err) // the goroutine that receives has the reason
		}
	}
	return p.stream.CloseSend()
}

// gather fills slots while some are free and the feed yields.
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

// ignoreEOF returns nil for io.EOF: the other side ended the stream normally.
func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
