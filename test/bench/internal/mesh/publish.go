package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/sync/errgroup"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// maxEntries bounds the events in one request of a stream.
const maxEntries = 64

// draft is an event that is used again for each message.
type draft struct {
	event *eventsv1.CloudEvent
	body  []byte
	key   *eventsv1.CloudEvent_CloudEventAttributeValue_CeString // nil without partitions
}

func (m *Mesh) newDraft(size int) *draft {
	d := &draft{body: make([]byte, size)}
	attributes := map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
		"datacontenttype": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: load.ContentType}},
	}
	if m.opts.Partitions > 0 {
		d.key = &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{}
		attributes["partitionkey"] = &eventsv1.CloudEvent_CloudEventAttributeValue{Attr: d.key}
	}
	d.event = &eventsv1.CloudEvent{
		Source: load.Source, SpecVersion: "1.0", Type: load.EventType, Attributes: attributes,
		Data: &eventsv1.CloudEvent_BinaryData{BinaryData: d.body},
	}
	return d
}

// next makes the draft the next message of lane.
func (d *draft) next(lane *load.Lane) (m load.Message, ok bool) {
	if m, ok = lane.Next(d.body); ok {
		d.event.Id = m.ID
		if d.key != nil {
			d.key.CeString = strconv.FormatUint(m.Number%keys, 10)
		}
	}
	return m, ok
}

// Unary implements load.Target. All callers share one connection.
func (m *Mesh) Unary(ctx context.Context, callers int, feed *load.Feed) error {
	g, ctx := errgroup.WithContext(ctx)
	for range callers {
		g.Go(func() error { return m.oneByOne(ctx, feed.Lane(), feed.Size()) })
	}
	return g.Wait()
}

func (m *Mesh) oneByOne(ctx context.Context, lane *load.Lane, size int) error {
	d := m.newDraft(size)
	request := &eventsv1.PublishRequest{Topic: topic, Event: d.event}
	for msg, ok := d.next(lane); ok; msg, ok = d.next(lane) {
		if _, err := m.publishing.Publish(ctx, request); err != nil {
			return fmt.Errorf("publish %s: %w", msg.ID, err)
		}
		lane.Confirmed(msg.Made)
	}
	return nil
}

// Batch implements load.Target.
func (m *Mesh) Batch(ctx context.Context, size int, feed *load.Feed) error {
	lane := feed.Lane()
	drafts, entries, made := make([]*draft, size), make([]*eventsv1.PublishBatchEntry, size), make([]int64, size)
	for i := range size {
		drafts[i] = m.newDraft(feed.Size())
		entries[i] = &eventsv1.PublishBatchEntry{Event: drafts[i].event}
	}
	for {
		n := 0
		for ; n < size; n++ {
			msg, ok := drafts[n].next(lane)
			if !ok {
				break
			}
			made[n] = msg.Made
		}
		if n == 0 {
			return nil
		}
		response, err := m.publishing.PublishBatch(ctx, &eventsv1.PublishBatchRequest{Topic: topic, Entries: entries[:n]})
		if err != nil {
			return fmt.Errorf("publish a batch: %w", err)
		}
		for i, result := range response.GetResults() {
			if s := result.GetStatus(); s.GetCode() != 0 {
				return fmt.Errorf("publish %s: code %d: %s", entries[i].GetEvent().GetId(), s.GetCode(), s.GetMessage())
			}
			lane.Confirmed(made[i])
		}
	}
}

// Stream implements load.Target. One request carries as many events as the window has
// room for; it does not wait for more.
func (m *Mesh) Stream(ctx context.Context, streams, window int, feed *load.Feed) error {
	ctx, cancel := context.WithCancel(ctx) // ends the streams in every case
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	for range streams {
		stream, err := m.publishing.PublishStream(ctx)
		if err != nil {
			return errors.Join(fmt.Errorf("open publish stream: %w", err), g.Wait())
		}
		p := m.newPipeline(stream, window, feed.Size())
		g.Go(func() error { return p.send(ctx, feed.Lane()) })
		g.Go(func() error { return p.receive(feed.Lane()) })
	}
	return g.Wait()
}

// pipeline is one publish stream. The request id of an event is the number of its slot;
// the window has one slot for each unconfirmed event.
type pipeline struct {
	stream  eventsv1.EventService_PublishStreamClient
	entries []*eventsv1.PublishStreamEntry
	drafts  []*draft
	made    []int64     // written before the request is sent, read after its result arrived
	free    chan uint64 // slots
}

func (m *Mesh) newPipeline(stream eventsv1.EventService_PublishStreamClient, window, size int) *pipeline {
	p := &pipeline{stream: stream, made: make([]int64, window), free: make(chan uint64, window)}
	for slot := range window {
		d := m.newDraft(size)
		p.entries = append(p.entries, &eventsv1.PublishStreamEntry{RequestId: uint64(slot), Event: d.event}) //nolint:gosec // small
		p.drafts = append(p.drafts, d)
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

// gather fills slots while some are free and the feed yields without waiting.
func (p *pipeline) gather(lane *load.Lane, entries []*eventsv1.PublishStreamEntry, slot uint64) (_ []*eventsv1.PublishStreamEntry, more bool) {
	for {
		m, ok := p.drafts[slot].next(lane)
		if !ok {
			return entries, false
		}
		p.made[slot] = m.Made
		entries = append(entries, p.entries[slot])
		if len(entries) == maxEntries || !lane.Due() {
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
