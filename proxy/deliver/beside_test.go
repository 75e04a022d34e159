package deliver_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
)

func zipped(t *testing.T, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// foreign publishes an event with what others put beside it.
func (r *rig) foreign(id string, data []byte, encoding string, headers ...broker.Header) {
	r.t.Helper()
	receipt, err := one.Publish(r.t.Context(), r.driver.Publish, queueing.Message{
		Exchange: "orders", RoutingKey: "k", Mandatory: true, Event: &event.Event{ID: id, Source: "/shop", Type: "t", Data: data},
		Headers: headers, ReplyTo: "rpc.q", ContentEncoding: encoding,
	})
	if err == nil {
		err = receipt.Wait(r.t.Context())
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// foreignHeaders are of every type, and wantForeign what a service sees of them.
func foreignHeaders() []broker.Header {
	return []broker.Header{
		{Name: "tenant", Value: "first"}, {Name: "tenant", Value: "acme"}, {Name: "bool", Value: true}, {Name: "int", Value: int64(-7)},
		{Name: "float", Value: 1.5}, {Name: "bytes", Value: []byte{255}}, {Name: "time", Value: time.Unix(7, 0)}, {Name: "null", Value: nil},
		{Name: "list", Value: []any{"a", nil}}, {Name: "table", Value: []broker.Header{{Name: "in", Value: int64(1)}}}, {Name: "b\xff", Value: "x\xff"},
	}
}

func wantForeign() *eventsv1.HeaderTable {
	word := func(s string) *eventsv1.HeaderValue {
		return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_StringValue{StringValue: s}}
	}
	number := func(n int64) *eventsv1.HeaderValue {
		return &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_IntValue{IntValue: n}}
	}
	null := &eventsv1.HeaderValue{Value: &eventsv1.HeaderValue_NullValue{}}
	return &eventsv1.HeaderTable{Headers: map[string]*eventsv1.HeaderValue{
		"tenant": word("acme"), "int": number(-7), "null": null, "b\ufffd": word("x\ufffd"),
		"bool":  {Value: &eventsv1.HeaderValue_BoolValue{BoolValue: true}},
		"float": {Value: &eventsv1.HeaderValue_DoubleValue{DoubleValue: 1.5}},
		"bytes": {Value: &eventsv1.HeaderValue_BytesValue{BytesValue: []byte{255}}},
		"time":  {Value: &eventsv1.HeaderValue_TimestampValue{TimestampValue: timestamppb.New(time.Unix(7, 0))}},
		"list":  {Value: &eventsv1.HeaderValue_ListValue{ListValue: &eventsv1.HeaderList{Values: []*eventsv1.HeaderValue{word("a"), null}}}},
		"table": {Value: &eventsv1.HeaderValue_TableValue{TableValue: &eventsv1.HeaderTable{Headers: map[string]*eventsv1.HeaderValue{"in": number(1)}}}},
	}}
}

func TestWhatTravelsBesideAnEventReachesTheService(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.foreign("1", []byte("x"), "gzip", foreignHeaders()...)
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
	d := s.delivery()
	if got := (&eventsv1.HeaderTable{Headers: d.GetHeaders()}); !proto.Equal(got, wantForeign()) || d.GetReplyTo() != "rpc.q" || d.GetContentEncoding() != "gzip" {
		t.Errorf("delivery has %v, %q, %q, want %v", got, d.GetReplyTo(), d.GetContentEncoding(), wantForeign())
	}
}

func TestWhatTravelsBesideAnEventIsPushed(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	l, port := listenLoopback(t, "127.0.0.1:0")
	calls := make(chan *eventsv1.OnEventRequest, 1)
	service(t, l, &handler{answer: func(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
		calls <- req
		return &eventsv1.OnEventResponse{}, nil
	}}, nil)
	r.foreign("1", []byte("x"), "gzip", foreignHeaders()...)
	r.pushing(port, nil)
	req := <-calls
	if got := (&eventsv1.HeaderTable{Headers: req.GetHeaders()}); !proto.Equal(got, wantForeign()) || req.GetReplyTo() != "rpc.q" || req.GetContentEncoding() != "gzip" {
		t.Errorf("call has %v, %q, %q, want %v", got, req.GetReplyTo(), req.GetContentEncoding(), wantForeign())
	}
	r.empty("shop.billing")
}

// decoding makes a subscription decode data of up to so many bytes.
func decoding(most uint32) func(*mesh.Subscription) {
	return func(s *mesh.Subscription) { s.MaxDecoded = most }
}

func TestCompressedDataIsHandedOnOrDecoded(t *testing.T) {
	t.Parallel()
	packed := zipped(t, "order 1")
	for name, test := range map[string]struct {
		most              uint32
		encoding          string
		data              []byte
		want, wantEncoded string
	}{
		"kept":                {0, "gzip", packed, string(packed), "gzip"},
		"decoded":             {7, "gzip", packed, "order 1", ""},
		"decoded to nothing":  {7, "gzip", zipped(t, ""), "", ""},
		"an unknown encoding": {7, "br", []byte("x"), "x", "br"},
		"a charset":           {7, "utf-8", []byte("x"), "x", "utf-8"},
		"no encoding":         {1, "", []byte("order 1"), "order 1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, decoding(test.most))
			r.foreign("1", test.data, test.encoding)
			d := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1}).delivery()
			if string(d.GetEvent().GetBinaryData()) != test.want || d.GetContentEncoding() != test.wantEncoded {
				t.Errorf("data %q, encoding %q, want %q, %q", d.GetEvent().GetBinaryData(), d.GetContentEncoding(), test.want, test.wantEncoded)
			}
		})
	}
}

func TestWhatCannotBeDecodedIsADeadLetterAndItsNeighboursFlow(t *testing.T) {
	t.Parallel()
	large, broken := zipped(t, strings.Repeat("x", 101)), zipped(t, "order")[:15]
	letters := func(t *testing.T, r *rig) {
		t.Helper()
		eventually(t, "two dead letters", func() bool { ready, _ := r.broker.Len("shop.billing.dead"); return ready == 2 })
		for _, m := range r.broker.Peek("shop.billing.dead", 2) {
			want := map[string]struct {
				data   []byte
				detail string
			}{"large": {large, "becomes more than 100 bytes"}, "broken": {broken, "unexpected EOF"}}[m.Event.ID]
			if !bytes.Equal(m.Event.Data, want.data) || m.DeadLetter == nil || m.DeadLetter.Reason != "invalid-event" || !strings.Contains(m.DeadLetter.Detail, want.detail) {
				t.Errorf("dead letter %s is %q, %+v", m.Event.ID, m.Event.Data, m.DeadLetter)
			}
		}
	}
	put := func(r *rig) {
		r.foreign("large", large, "gzip")
		r.foreign("broken", broken, "gzip")
		r.foreign("good", zipped(t, "order"), "gzip")
	}
	t.Run("by stream", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, decoding(100))
		put(r)
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1}) // which the two do not use
		d := s.delivery()
		if d.GetEvent().GetId() != "good" {
			t.Errorf("delivered %s, want good", d.GetEvent().GetId())
		}
		s.ack(d)
		letters(t, r)
		r.empty("shop.billing")
	})
	t.Run("by push", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, nil)
		l, port := listenLoopback(t, "127.0.0.1:0")
		calls := make(chan string, 3)
		service(t, l, &handler{answer: func(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
			calls <- req.GetEvent().GetId() + " " + string(req.GetEvent().GetBinaryData())
			return &eventsv1.OnEventResponse{}, nil
		}}, nil)
		put(r)
		r.pushing(port, decoding(100))
		if got := <-calls; got != "good order" {
			t.Errorf("pushed %q, want good", got)
		}
		letters(t, r)
		r.empty("shop.billing")
	})
	t.Run("in order", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(s *mesh.Subscription) {
			s.MaxDecoded, s.Ordering, s.Partitions, s.MaxElapsed = 100, mesh.PerKey, mesh.Partitions{Count: 1, Key: "partitionkey"}, time.Minute
		})
		put(r)
		s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 1})
		d := s.delivery()
		if d.GetEvent().GetId() != "good" {
			t.Errorf("delivered %s, want good", d.GetEvent().GetId())
		}
		s.ack(d)
		letters(t, r)
	})
}

// A copy is made of the message, not of what the service saw.
func TestARetryIsDecodedAgainAndItsDeadLetterKeepsItsBytes(t *testing.T) {
	t.Parallel()
	packed := zipped(t, "order 1")
	r := newRig(t, func(s *mesh.Subscription) { s.MaxDecoded, s.Attempts = 100, 2 })
	r.foreign("1", packed, "gzip", broker.Header{Name: "tenant", Value: "acme"})
	s := r.subscribe(&eventsv1.SubscribeInit{InitialCredit: 2})
	for attempt := range uint32(2) {
		d := s.delivery()
		if d.GetAttempt() != attempt+1 || string(d.GetEvent().GetBinaryData()) != "order 1" || d.GetContentEncoding() != "" ||
			d.GetHeaders()["tenant"].GetStringValue() != "acme" || d.GetReplyTo() != "rpc.q" {
			t.Errorf("attempt %d is %v", attempt+1, d)
		}
		s.settle(&eventsv1.Settlement{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_RETRY})
	}
	eventually(t, "a dead letter", func() bool { ready, _ := r.broker.Len("shop.billing.dead"); return ready == 1 })
	m := r.broker.Peek("shop.billing.dead", 1)[0]
	if !bytes.Equal(m.Event.Data, packed) || m.ContentEncoding != "gzip" || m.ReplyTo != "rpc.q" || len(m.Headers) != 1 {
		t.Errorf("dead letter has %q, encoding %q, reply_to %q, headers %v", m.Event.Data, m.ContentEncoding, m.ReplyTo, m.Headers)
	}
}
