package eventpb_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
)

func full() *event.Event {
	e := &event.Event{ID: "1", Source: "/s", Type: "t", Data: []byte{0, 255}}
	e.Set("flag", event.Boolean(true))
	e.Set("count", event.Integer(-3))
	e.Set("blob", event.Binary([]byte{1, 2}))
	e.Set("dataschema", event.URI("https://example.com/s"))
	e.Set("ref", event.URIRef("/r"))
	e.Set("subject", event.String("żółw"))
	e.Set("time", event.Timestamp(time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)))
	return e
}

func equal(a, b *event.Event) bool {
	if a.ID != b.ID || a.Source != b.Source || a.Type != b.Type || string(a.Data) != string(b.Data) || len(a.Attrs) != len(b.Attrs) {
		return false
	}
	for i := range a.Attrs {
		if a.Attrs[i].Name != b.Attrs[i].Name || !a.Attrs[i].Value.Equal(b.Attrs[i].Value) {
			return false
		}
	}
	return true
}

func TestEveryAttributeTypeSurvivesARoundTrip(t *testing.T) {
	t.Parallel()
	back, err := eventpb.FromProto(eventpb.ToProto(full()))
	if err != nil {
		t.Fatal(err)
	}
	if !equal(full(), back) {
		t.Errorf("got %+v, want %+v", back, full())
	}
}

func TestProtoDataBringsItsSchemaAndContentType(t *testing.T) {
	t.Parallel()
	payload, err := anypb.New(wrapperspb.String("hi"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := eventpb.FromProto(&eventsv1.CloudEvent{
		Id: "1", Source: "/s", SpecVersion: "1.0", Type: "t", Data: &eventsv1.CloudEvent_ProtoData{ProtoData: payload},
	})
	if err != nil {
		t.Fatal(err)
	}
	if e.Text("datacontenttype") != "application/protobuf" || e.Text("dataschema") != payload.GetTypeUrl() || string(e.Data) != string(payload.GetValue()) {
		t.Errorf("event %+v", e)
	}
}

func TestATimeWrittenAsTextBecomesATimestamp(t *testing.T) {
	t.Parallel()
	e, err := eventpb.FromProto(&eventsv1.CloudEvent{
		Id: "1", Source: "/s", SpecVersion: "1.0", Type: "t",
		Attributes: map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
			"time": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: "2026-11-23T04:05:06+01:00"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := e.Lookup("time"); v.Kind() != event.KindTimestamp {
		t.Errorf("time is a %v", v.Kind())
	}
}

func FuzzFromProto(f *testing.F) {
	seed, err := proto.Marshal(eventpb.ToProto(full()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, wire []byte) {
		var p eventsv1.CloudEvent
		if proto.Unmarshal(wire, &p) != nil {
			return
		}
		e, err := eventpb.FromProto(&p)
		if err != nil {
			var fe *event.FieldError
			if !errors.As(err, &fe) {
				t.Errorf("error %v names no field", err)
			}
			return
		}
		if e.Validate() != nil {
			return
		}
		back, err := eventpb.FromProto(eventpb.ToProto(e))
		if err != nil || !equal(e, back) {
			t.Errorf("a valid event changed on its way: %+v, %+v, %v", e, back, err)
		}
	})
}
