package grpc

import (
	"errors"
	"testing"

	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/refusal"
)

func codec() frugal { return frugal{encoding.GetCodecV2(protocodec.Name)} }

func placed() *eventsv1.CloudEvent {
	e := &event.Event{ID: "4711", Source: "/shop/checkout", Type: "com.shop.order.placed", Data: make([]byte, 1024)}
	e.Set("datacontenttype", event.String("application/json"))
	e.Set("flag", event.Boolean(true))
	return eventpb.ToProto(e)
}

func marshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// requests are publishes as clients write them, and some as none does.
func requests(t testing.TB) []proto.Message {
	t.Helper()
	headers := map[string]*eventsv1.HeaderValue{"h": {Value: &eventsv1.HeaderValue_IntValue{IntValue: 1}}}
	return []proto.Message{
		&eventsv1.PublishRequest{Topic: "orders", Event: placed()},
		&eventsv1.PublishRequest{Topic: "orders", Event: placed(), ReplyTo: "q", ContentEncoding: "gzip"},
		&eventsv1.PublishRequest{Topic: "orders", Event: placed(), Headers: headers},
		&eventsv1.PublishRequest{Topic: "orders"},
		&eventsv1.PublishRequest{Event: &eventsv1.CloudEvent{Id: "1"}},
		&eventsv1.PublishStreamRequest{},
		&eventsv1.PublishStreamRequest{Topic: "orders", Entries: []*eventsv1.PublishStreamEntry{
			{RequestId: 1, Event: placed()},
			{RequestId: 2, Event: placed(), Topic: "others", ReplyTo: "q", ContentEncoding: "gzip", TraceContext: map[string]string{"traceparent": "00-", "tracestate": ""}},
		}},
		&eventsv1.PublishStreamRequest{Entries: []*eventsv1.PublishStreamEntry{{Event: placed(), Headers: headers}, {}}},
	}
}

// The codec reads from the wire form what it would make of the message, and answers the same
// errors.
func FuzzPublishRequest(f *testing.F) {
	for _, m := range requests(f) {
		f.Add(marshal(f, m))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		compareUnary(t, b)
		compareStream(t, b)
	})
}

func compareUnary(t *testing.T, b []byte) {
	t.Helper()
	var got, want publishRequest
	err := codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &got)
	var m eventsv1.PublishRequest
	plain := codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &m)
	if (err == nil) != (plain == nil) || err != nil && err.Error() != plain.Error() {
		t.Fatalf("%x: %v, want %v", b, err, plain)
	}
	if err != nil {
		return
	}
	want.take(&m)
	if got.topic != want.topic || (got.err == nil) != (want.err == nil) || !sameSubmission(&got.submission, &want.submission) {
		t.Fatalf("%x\nis %+v\nwant %+v", b, got, want)
	}
}

func compareStream(t *testing.T, b []byte) {
	t.Helper()
	var got streamRequest
	err := codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &got)
	var m eventsv1.PublishStreamRequest
	plain := codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &m)
	if (err == nil) != (plain == nil) || err != nil && err.Error() != plain.Error() {
		t.Fatalf("%x: %v, want %v", b, err, plain)
	}
	if err != nil || got.message != nil {
		return
	}
	want := requestOf(&m)
	if got.topic != want.Topic || len(got.entries) != want.Len {
		t.Fatalf("%x\nis %+v\nwant %+v", b, got, want)
	}
	i := 0
	for e := range want.Entries {
		have := &got.entries[i]
		if e.Err != nil || have.ID != e.ID || have.Topic != e.Topic || have.Trace != e.Trace ||
			!sameSubmission(&have.Submission, &e.Submission) {
			t.Fatalf("%x\nhas %+v\nwant %+v", b, have, e)
		}
		i++
	}
}

func sameSubmission(a, b *publish.Submission) bool {
	x, y := a.Event, b.Event
	if (x == nil) != (y == nil) || a.ReplyTo != b.ReplyTo || a.ContentEncoding != b.ContentEncoding || len(a.Headers) != len(b.Headers) || a.HeaderBytes != b.HeaderBytes {
		return false
	}
	if x == nil {
		return true
	}
	if x.ID != y.ID || x.Source != y.Source || x.Type != y.Type || string(x.Data) != string(y.Data) || len(x.Attrs) != len(y.Attrs) {
		return false
	}
	for i := range x.Attrs {
		if x.Attrs[i].Name != y.Attrs[i].Name || !x.Attrs[i].Value.Equal(y.Attrs[i].Value) {
			return false
		}
	}
	return true
}

func TestPublishesAsClientsWriteThemNeedNoMessage(t *testing.T) {
	t.Parallel()
	for i, m := range requests(t) {
		b := marshal(t, m)
		var unary publishRequest
		var stream streamRequest
		if _, ok := m.(*eventsv1.PublishRequest); ok && unary.scan(b) != (i < 2) {
			t.Errorf("request %d is read without a message: %t", i, i >= 2)
		}
		if _, ok := m.(*eventsv1.PublishStreamRequest); ok && stream.scan(b) != (i < 7) {
			t.Errorf("request %d is read without a message: %t", i, i >= 7)
		}
	}
}

// What is written at once is what the message would be.
func TestAnswersAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	receipt := publish.Receipt{EventID: "4711", Route: "r", Topic: "shop/orders", Attempts: 2}
	long := publish.Receipt{EventID: string(make([]byte, 70_000)), Topic: "t"}
	refused := refusal.Field(refusal.InvalidEvent, "event.id", "must not be empty")
	for _, r := range []publish.Receipt{receipt, long, {}} {
		got, err := codec().Marshal((*publishResponse)(&r))
		if want := marshal(t, responseOf(r)); err != nil || string(got.Materialize()) != string(want) {
			t.Errorf("%x and %v, want %x", got.Materialize(), err, want)
		}
	}
	var results []publish.StreamResult
	for i, r := range []publish.Result{{Receipt: receipt}, {Err: refused}, {Receipt: long}, {Err: errors.New("why")}} {
		results = append(results, publish.StreamResult{ID: uint64(i) * 1000, Result: r}) //nolint:gosec // small
	}
	for n := range len(results) + 1 {
		want := &eventsv1.PublishStreamResponse{Window: publish.Window}
		for i := range results[:n] {
			want.Results = append(want.Results, &eventsv1.PublishStreamResult{RequestId: results[i].ID, Result: resultOf(&results[i].Result)})
		}
		buffers, err := codec().Marshal(streamResponse(results[:n]))
		got := &eventsv1.PublishStreamResponse{}
		err = errors.Join(err, proto.Unmarshal(buffers.Materialize(), got))
		for _, results := range [][]*eventsv1.PublishStreamResult{got.GetResults(), want.GetResults()} {
			for _, r := range results {
				if s := r.GetResult().GetStatus(); s != nil { // a detail's map is written in any order
					s.Details = make([]*anypb.Any, len(s.GetDetails()))
				}
			}
		}
		if err != nil || !proto.Equal(got, want) {
			t.Errorf("%d results: %v and %v, want %v", n, got, err, want)
		}
	}
}

// Budget: 11 allocations for the request and the answer of one event, two of which are the
// test's, and 5 an event of a stream's request of 64 with their answers. The race
// detector adds one.
func TestReadingAndAnsweringAPublishCostsLittle(t *testing.T) {
	c := codec()
	entries := make([]*eventsv1.PublishStreamEntry, 64)
	results := make([]publish.StreamResult, len(entries))
	for i := range entries {
		entries[i] = &eventsv1.PublishStreamEntry{RequestId: uint64(i), Event: placed()} //nolint:gosec // small
		results[i].Result.Receipt = publish.Receipt{EventID: "4711", Topic: "shop/orders", Attempts: 1}
	}
	one := marshal(t, &eventsv1.PublishRequest{Topic: "orders", Event: placed()})
	many := marshal(t, &eventsv1.PublishStreamRequest{Topic: "orders", Entries: entries})
	unary := testing.AllocsPerRun(100, func() {
		if err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(one)}, &publishRequest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Marshal((*publishResponse)(&results[0].Result.Receipt)); err != nil {
			t.Fatal(err)
		}
	})
	stream := testing.AllocsPerRun(100, func() {
		if err := c.Unmarshal(mem.BufferSlice{mem.SliceBuffer(many)}, &streamRequest{}); err != nil {
			t.Fatal(err)
		}
		out, err := c.Marshal(streamResponse(results))
		if err != nil {
			t.Fatal(err)
		}
		out.Free()
	}) / float64(len(entries))
	if unary > 12 || stream > 6 {
		t.Errorf("%v allocations for a unary publish and %v for an event of a stream, want at most 12 and 6", unary, stream)
	}
	t.Logf("%v unary, %.1f of a stream", unary, stream)
}
