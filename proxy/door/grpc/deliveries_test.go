package grpc

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/session"
	"github.com/warrenmesh/warren/proxy/event"
)

func handed(data int) delivery.Handed {
	e := &event.Event{ID: "1", Source: "/shop", Type: "com.shop.order.placed", Data: []byte(strings.Repeat("x", data))}
	e.Set("time", event.Timestamp(time.Unix(1_800_000_000, 5)))
	return delivery.Handed{
		Token: "t-1-2", Event: e, Attempt: 2, Redelivered: true, Topic: "shop/orders", Deadline: time.Unix(1_800_000_030, 7),
		Trace: broker.TraceContext{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", Baggage: "k=v"},
	}
}

func TestDeliveriesAreWrittenAsProtobufWritesThem(t *testing.T) {
	t.Parallel()
	for _, data := range []int{0, 10, 1024, 70_000} {
		plain, beside, first := handed(data), handed(data), handed(data)
		beside.Headers = []broker.Header{{Name: "h", Value: int64(7)}}
		beside.ReplyTo, first.ReplyTo, first.ContentEncoding = "answers", "answers", "gzip"
		first.Trace, first.Redelivered = broker.TraceContext{}, false
		r := session.Response{Credit: math.MaxUint32, Deliveries: []delivery.Handed{plain, beside, first}}
		w, err := codec().Marshal(&handedOut{Response: r})
		if err != nil {
			t.Fatal(err)
		}
		got := &eventsv1.SubscribeResponse{}
		if err := proto.Unmarshal(w.Materialize(), got); err != nil {
			t.Fatal(err)
		}
		w.Free()
		want := &eventsv1.SubscribeResponse{RemainingCredit: math.MaxUint32, Response: &eventsv1.SubscribeResponse_Deliveries{
			Deliveries: &eventsv1.SubscribeDeliveries{Deliveries: []*eventsv1.Delivery{deliveryOf(&plain), deliveryOf(&beside), deliveryOf(&first)}},
		}}
		if !proto.Equal(got, want) {
			t.Errorf("with %d bytes: got %v, want %v", data, got, want)
		}
	}
	broken := handed(1)
	broken.ReplyTo = "\xff"
	if _, err := codec().Marshal(&handedOut{Response: session.Response{Deliveries: []delivery.Handed{broken}}}); err == nil {
		t.Error("text that is not UTF-8 was written")
	}
}

func settle(s ...*eventsv1.Settlement) *eventsv1.SubscribeRequest {
	return &eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{Settle: &eventsv1.SubscribeSettle{Settlements: s}}}
}

func ack(token string) *eventsv1.Settlement {
	return &eventsv1.Settlement{Token: token, Outcome: eventsv1.Outcome_OUTCOME_ACK}
}

func FuzzRequestsAreReadAsProtobufReadsThem(f *testing.F) {
	for _, req := range []*eventsv1.SubscribeRequest{
		{}, settle(), settle(ack("a-1-2")), settle(ack(""), ack(strings.Repeat("x", 200)), ack("ä")),
		settle(ack("a"), &eventsv1.Settlement{Token: "b", Outcome: eventsv1.Outcome_OUTCOME_RETRY, Reason: "later"}),
		{Request: &eventsv1.SubscribeRequest_Credit{Credit: &eventsv1.SubscribeCredit{Messages: 7}}},
	} {
		b, err := proto.Marshal(req)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(append(b, b...)) // of a oneof the last counts, merged with the one before
	}
	f.Add([]byte("\x1a\x04\x0a\x02\x10\x02\x10\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var in subscribeRequest
		err := codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &in)
		req := &eventsv1.SubscribeRequest{}
		if want := proto.Unmarshal(b, req); (err == nil) != (want == nil) {
			t.Fatalf("%x: error %v, want %v", b, err, want)
		}
		if err != nil {
			return
		}
		if want := askedBy(req); !reflect.DeepEqual(in.request, want) {
			t.Errorf("%x: got %#v, want %#v", b, in.request, want)
		}
	})
}

func TestMoreThanTheMostTokensAreRefused(t *testing.T) {
	t.Parallel()
	many := make([]*eventsv1.Settlement, session.MaxTokens+1)
	for i := range many {
		many[i] = ack("t")
	}
	b, err := proto.Marshal(settle(many...))
	if err != nil {
		t.Fatal(err)
	}
	var in subscribeRequest
	if err := codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, &in); err != nil {
		t.Fatal(err)
	}
	if _, ok := in.request.(session.Wrong); !ok {
		t.Errorf("read %T", in.request)
	}
}

// Budget: 8 allocations for 64 deliveries and their acknowledgements, the codec's lists of
// buffers included.
func BenchmarkWire(b *testing.B) {
	r := session.Response{}
	var acks []*eventsv1.Settlement
	for range 64 {
		r.Deliveries, acks = append(r.Deliveries, handed(1024)), append(acks, ack("t-1-2"))
	}
	request, err := proto.Marshal(settle(acks...))
	if err != nil {
		b.Fatal(err)
	}
	budget.Allocs(b, 8)
	for b.Loop() {
		w, err := codec().Marshal(&handedOut{Response: r})
		if err != nil {
			b.Fatal(err)
		}
		w.Free()
		var in subscribeRequest
		if err := codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(request)}, &in); err != nil {
			b.Fatal(err)
		}
	}
}
