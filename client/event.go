package client

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// NewEvent makes a CloudEvents 1.0 event. An id is given once: whoever repeats the
// event repeats source and id, so that receivers can tell a repetition from a new
// event. The content type may be "", which leaves the attribute out. The event keeps
// data; it is not copied. Nothing is checked here: the sidecar refuses an event without
// id, source or type with INVALID_EVENT.
func NewEvent(id, source, typ, contentType string, data []byte) *eventsv1.CloudEvent {
	e := &eventsv1.CloudEvent{
		Id: id, Source: source, SpecVersion: "1.0", Type: typ,
		Attributes: map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{},
		Data:       &eventsv1.CloudEvent_BinaryData{BinaryData: data},
	}
	if contentType != "" {
		e.Attributes["datacontenttype"] = Text(contentType)
	}
	return e
}

// Text is an attribute of type String, for CloudEvent.Attributes.
func Text(s string) *eventsv1.CloudEvent_CloudEventAttributeValue {
	return &eventsv1.CloudEvent_CloudEventAttributeValue{Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: s}}
}

// Time is an attribute of type Timestamp, for CloudEvent.Attributes. The sidecar refuses
// times outside the years 1 to 9999.
func Time(t time.Time) *eventsv1.CloudEvent_CloudEventAttributeValue {
	return &eventsv1.CloudEvent_CloudEventAttributeValue{Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp{CeTimestamp: timestamppb.New(t)}}
}

// hopOf is ctx's trace context, for an event among many in one message: a unary call
// has it in its metadata. Nil when there is none.
func hopOf(ctx context.Context) map[string]string {
	hop := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, hop)
	if len(hop) == 0 {
		return nil
	}
	return hop
}
