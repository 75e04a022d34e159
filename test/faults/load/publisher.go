package load

import (
	"context"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/history"
)

// repeatAfter is how long a publisher waits before it repeats an event of unknown
// outcome, and before it reopens a broken stream.
const repeatAfter = 50 * time.Millisecond

// Publisher publishes numbered events. Its methods Unary, Batch and Stream are each the
// loop of one service. Use only one of them on a Publisher.
type Publisher struct {
	Recorder *history.Recorder
	Client   eventsv1.EventServiceClient
	// Topic is the name of the topic as the service knows it.
	Topic string
	// Name is the prefix of the ids and keys of its events. It is unique among
	// publishers.
	Name string
	// Type of the events; "" means "faults.happened".
	Type string
	// Keys is the number of keys, which alternate. 0 means 1.
	Keys int
	// Rate is the maximum of events a second. 0 means 100.
	Rate int
	// Deadline of each call. 0 means 5s. A stream has none.
	Deadline time.Duration
	// GiveUp is how long an event of unknown outcome is repeated. 0 means 30s.
	GiveUp time.Duration
	// Size is the payload in bytes. 0 means 64.
	Size int
	// Count is the number of events after which the publisher ends; 0 means never.
	Count int
	// Change, when set, is called by Unary with each event before each of its calls.
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

// more reports whether the publisher makes another event after n.
func (p *Publisher) more(n uint64) bool { return p.Count == 0 || n < uint64(p.Count) } //nolint:gosec // not negative

// begin records a call that is about to be made.
func (p *Publisher) begin(n numbered, deadline time.Duration) history.Call {
	return p.Recorder.Begin(history.Publish{ID: n.id, Topic: p.Topic, Key: n.key, Seq: n.seq, Repeat: n.repeat, Deadline: deadline})
}

// settled reports whether an event with that answer needs no other call: it was
// confirmed, or failed for certain in every call. An event of unknown outcome stays
// unknown until it is confirmed.
func settled(n numbered, r history.Result) bool {
	return r == history.OK || r == history.Failed && n.repeat == 0
}

// Unary publishes one event at a time. It makes the next one when the one before is
// settled, so that its events are strictly ordered.
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

// Batch publishes size events a call. Events of unknown outcome are repeated at the
// head of the next call.
func (p Publisher) Batch(ctx context.Context, stop <-chan struct{}, size int) {
	p = p.withDefaults()
	events, pace, data := p.counter(), newPace(p.Rate), p.payload()
	var again []numbered
	var since time.Time // when the first event of again failed
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

// resultOf reads one result of a batch. A missing result means that the outcome is
// unknown.
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
