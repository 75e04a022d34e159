package load

import (
	"context"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/history"
)

// repeatAfter is how long a publisher waits before it repeats what is unknown, and
// before it opens a broken stream again.
const repeatAfter = 50 * time.Millisecond

// Publisher publishes numbered events. Its methods Unary, Batch and Stream are each
// the loop of one service; a Publisher is given to one of them.
type Publisher struct {
	Recorder *history.Recorder
	Client   eventsv1.EventServiceClient
	// Topic is its name as the service knows it.
	Topic string
	// Name begins the ids and keys of its events, which no other publisher has.
	Name string
	// Type of the events. "" means "faults.happened".
	Type string
	// Keys is how many keys take turns. 0 means 1.
	Keys int
	// Rate is events a second, at most. 0 means 100.
	Rate int
	// Deadline of each call. 0 means 5s. A stream has none.
	Deadline time.Duration
	// GiveUp is when an event of unknown outcome is repeated no more. 0 means 30s.
	GiveUp time.Duration
	// Size is the payload in bytes. 0 means 64.
	Size int
	// Count ends the publisher after so many events; 0 means never.
	Count int
	// Change, when set, is given each event before it is published by Unary, the first
	// time and at each repeat.
	Change func(e *eventsv1.CloudEvent)
}

func (p Publisher) withDefaults() Publisher {
	def := func(n *int, v int) {
		if *n == 0 {
			*n = v
		}
	}
	def(&p.Keys, 1)
	def(&p.Rate, 100)
	def(&p.Size, 64)
	if p.Deadline == 0 {
		p.Deadline = 5 * time.Second
	}
	if p.GiveUp == 0 {
		p.GiveUp = 30 * time.Second
	}
	if p.Type == "" {
		p.Type = "faults.happened"
	}
	return p
}

func (p *Publisher) counter() *counter { return &counter{name: p.Name, keys: p.Keys} }

func (p *Publisher) payload() []byte { return make([]byte, p.Size) }

// more reports whether one more event after n is to be made.
func (p *Publisher) more(n uint64) bool { return p.Count == 0 || n < uint64(p.Count) } //nolint:gosec // not negative

// begin records a call that is about to be made.
func (p *Publisher) begin(n numbered, deadline time.Duration) history.Call {
	return p.Recorder.Begin(history.Publish{ID: n.id, Topic: p.Topic, Key: n.key, Seq: n.seq, Repeat: n.repeat, Deadline: deadline})
}

// settled reports whether an event with that answer is done with: confirmed, or
// failed for certain in every call. Once unknown it is so until it is confirmed.
func settled(n numbered, r history.Result) bool {
	return r == history.OK || r == history.Failed && n.repeat == 0
}

// Unary publishes one event at a time, the next when the one before is settled: in
// the strictest sense its events have an order.
func (p Publisher) Unary(ctx context.Context, stop <-chan struct{}) {
	p = p.withDefaults()
	events, pace, data := p.counter(), newPace(p.Rate), p.payload()
	for p.more(events.n) && pace.wait(ctx, stop, 1) {
		n := events.next()
		for began := time.Now(); !settled(n, p.call(ctx, n, data)); n.repeat++ {
			if time.Since(began) > p.GiveUp || !sleep(ctx, nil, repeatAfter) {
				break
			}
		}
	}
}

func (p *Publisher) call(ctx context.Context, n numbered, data []byte) history.Result {
	ctx, cancel := context.WithTimeout(ctx, p.Deadline)
	defer cancel()
	e := n.proto(p.Type, data)
	if p.Change != nil {
		p.Change(e)
	}
	call := p.begin(n, p.Deadline)
	_, err := p.Client.Publish(ctx, &eventsv1.PublishRequest{Topic: p.Topic, Event: e})
	answer := Classify(err)
	p.Recorder.Answer(call, answer)
	return answer.Result
}

// Batch publishes so many events a call; what is unknown is repeated at the head of
// the next.
func (p Publisher) Batch(ctx context.Context, stop <-chan struct{}, size int) {
	p = p.withDefaults()
	events, pace, data := p.counter(), newPace(p.Rate), p.payload()
	var again []numbered
	var since time.Time // of the first of again
	for {
		going := p.more(events.n) && pace.wait(ctx, stop, size-len(again))
		if !going && (len(again) == 0 || time.Since(since) > p.GiveUp || !sleep(ctx, nil, repeatAfter)) {
			return
		}
		batch := again
		for going && len(batch) < size {
			batch = append(batch, events.next())
		}
		if len(again) == 0 {
			since = time.Now()
		}
		again = p.callBatch(ctx, batch, data)
		if len(again) == size && !sleep(ctx, nil, repeatAfter) {
			return
		}
	}
}

// callBatch makes one call and returns the events to repeat.
func (p *Publisher) callBatch(ctx context.Context, batch []numbered, data []byte) (again []numbered) {
	ctx, cancel := context.WithTimeout(ctx, p.Deadline)
	defer cancel()
	req := &eventsv1.PublishBatchRequest{Topic: p.Topic}
	calls := make([]history.Call, len(batch))
	for i, n := range batch {
		req.Entries = append(req.Entries, &eventsv1.PublishBatchEntry{Event: n.proto(p.Type, data)})
		calls[i] = p.begin(n, p.Deadline)
	}
	res, err := p.Client.PublishBatch(ctx, req)
	for i, n := range batch {
		answer := Classify(err)
		if err == nil {
			answer = resultOf(res.GetResults(), i)
		}
		p.Recorder.Answer(calls[i], answer)
		if !settled(n, answer.Result) {
			n.repeat++
			again = append(again, n)
		}
	}
	return again
}

// resultOf reads one result of a batch; one that is missing tells nothing.
func resultOf(results []*eventsv1.PublishResult, i int) history.Answer {
	if i >= len(results) {
		return history.Answer{Result: history.Unknown, Reason: "RESULT_MISSING"}
	}
	return answerOf(results[i])
}

// answerOf reads a result. Its status is wire-identical to google.rpc.Status.
func answerOf(r *eventsv1.PublishResult) history.Answer {
	if r.GetStatus().GetCode() == 0 {
		return history.Answer{Result: history.OK}
	}
	return classify(status.FromProto(&spb.Status{
		Code: r.GetStatus().GetCode(), Message: r.GetStatus().GetMessage(), Details: r.GetStatus().GetDetails(),
	}))
}
