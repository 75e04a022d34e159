package eventpb_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
)

// wireForms are events as clients write them, and some as none does.
func wireForms(t testing.TB) [][]byte {
	t.Helper()
	plain := eventpb.ToProto(&event.Event{ID: "1", Source: "/s", Type: "t", Data: []byte("{}")})
	text := proto.CloneOf(plain)
	text.Data = &eventsv1.CloudEvent_TextData{TextData: "żółw"}
	inProto := proto.CloneOf(plain)
	inProto.Data = &eventsv1.CloudEvent_ProtoData{ProtoData: &anypb.Any{TypeUrl: "u", Value: []byte{1}}}
	empty := proto.CloneOf(plain)
	empty.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"a": {}}
	named := proto.CloneOf(plain)
	named.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"id": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: "2"}}}
	late := proto.CloneOf(plain)
	late.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
		"time": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp{CeTimestamp: &timestamppb.Timestamp{Seconds: 1 << 60}}},
	}
	long := eventpb.ToProto(full())
	long.Source = string(make([]byte, 1000))
	var out [][]byte
	for _, m := range []*eventsv1.CloudEvent{plain, eventpb.ToProto(full()), text, inProto, empty, named, late, long, {}, {Id: "1", SpecVersion: "0.3"}} {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	first := out[0]
	return append(out,
		append(append([]byte{}, first...), first...),              // each field twice
		append([]byte{6<<3 | 2, 1, 'x'}, first[:len(first)-4]...), // data first
		append([]byte{15<<3 | 2, 1, 'x'}, first...),               // an unknown field
		append([]byte{1<<3 | 2, 1, 0xff}, first[3:]...),           // no UTF-8
		first[:len(first)-1],
	)
}

// What is read from the wire form at once is what proto.Unmarshal and FromProto make of it,
// and nothing that those refuse is taken.
func FuzzFromWire(f *testing.F) {
	for _, b := range wireForms(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got, _, ok := eventpb.FromWire(b)
		if !ok {
			return
		}
		var m eventsv1.CloudEvent
		if err := proto.Unmarshal(b, &m); err != nil {
			t.Fatalf("%x is taken, want %v", b, err)
		}
		want, err := eventpb.FromProto(&m)
		if err != nil {
			t.Fatalf("%x is taken, want %v", b, err)
		}
		if !equal(got, want) {
			t.Fatalf("%x\nis %+v\nwant %+v", b, got, want)
		}
	})
}

func TestMostEventsAreReadFromTheWireForm(t *testing.T) {
	t.Parallel()
	taken := map[int]bool{0: true, 1: true, 2: true, 7: true, 11: true}
	for i, b := range wireForms(t) {
		kept := append([]byte{}, b...)
		e, _, ok := eventpb.FromWire(b)
		if ok != taken[i] {
			t.Errorf("form %d is taken: %t", i, ok)
		}
		if !ok {
			continue
		}
		clear(b)
		again, _, _ := eventpb.FromWire(kept)
		if !equal(e, again) {
			t.Errorf("form %d changes with the bytes it was read from", i)
		}
	}
}

// Budget: 4 allocations: the event, its text, its attributes, its data. The race detector
// adds one.
func TestAnEventFromTheWireFormCostsLittle(t *testing.T) {
	e := &event.Event{ID: "4711", Source: "/shop/checkout", Type: "com.shop.order.placed", Data: make([]byte, 1024)}
	e.Set("datacontenttype", event.String("application/json"))
	b, err := proto.Marshal(eventpb.ToProto(e))
	if err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(100, func() { _, _, _ = eventpb.FromWire(b) }); got > 5 {
		t.Errorf("%v allocations, want at most 5", got)
	}
}
