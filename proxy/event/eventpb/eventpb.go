// Package eventpb converts between event.Event and the protobuf CloudEvent of
// the event API, both ways, and reads an event from a CloudEvent's wire form (wire.go).
// It does not validate: event.Validate does.
package eventpb

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/event"
)

// FromProto converts p. Data is shared with p, not copied. Text data becomes its
// UTF-8 bytes; proto data becomes the value's bytes, with dataschema and
// datacontenttype filled in unless they are set (CloudEvents protobuf format,
// section 3). Strings get the type of their attribute, as event.Typed says, so that a
// client without timestamps at hand may write time as text. The error is an
// *event.FieldError.
func FromProto(p *eventsv1.CloudEvent) (*event.Event, error) {
	if p == nil {
		return nil, &event.FieldError{Field: "event", Reason: "must be set"}
	}
	if v := p.GetSpecVersion(); v != "" && v != event.SpecVersion {
		return nil, &event.FieldError{Field: event.AttrSpecVersion, Reason: `must be "1.0" or empty`}
	}
	b := event.Builder{}
	b.Grow(len(p.GetAttributes()))
	for name, v := range p.GetAttributes() {
		if required(name) {
			return nil, &event.FieldError{Field: name, Reason: "is a field of CloudEvent, not an entry of attributes"}
		}
		value, err := fromValue(name, v)
		if err != nil {
			return nil, err
		}
		if err := b.Add(name, value); err != nil {
			return nil, err
		}
	}
	b.Required(p.GetId(), p.GetSource(), p.GetType())
	e, err := b.Event(nil)
	if err != nil {
		return nil, err
	}
	setData(e, p)
	return e, nil
}

func required(name string) bool {
	switch name {
	case event.AttrID, event.AttrSource, event.AttrType, event.AttrSpecVersion:
		return true
	}
	return false
}

func setData(e *event.Event, p *eventsv1.CloudEvent) {
	switch d := p.GetData().(type) {
	case *eventsv1.CloudEvent_BinaryData:
		e.Data = d.BinaryData
	case *eventsv1.CloudEvent_TextData:
		e.Data = []byte(d.TextData)
	case *eventsv1.CloudEvent_ProtoData:
		e.Data = d.ProtoData.GetValue()
		setDefault(e, event.AttrDataSchema, event.URI(d.ProtoData.GetTypeUrl()))
		setDefault(e, event.AttrDataContentType, event.String("application/protobuf"))
	}
}

func setDefault(e *event.Event, name string, v event.Value) {
	if _, ok := e.Lookup(name); !ok && v.String() != "" {
		e.Set(name, v)
	}
}

func fromValue(name string, v *eventsv1.CloudEvent_CloudEventAttributeValue) (event.Value, error) {
	switch a := v.GetAttr().(type) {
	case *eventsv1.CloudEvent_CloudEventAttributeValue_CeBoolean:
		return event.Boolean(a.CeBoolean), nil
	case *eventsv1.CloudEvent_CloudEventAttributeValue_CeInteger:
		return event.Integer(a.CeInteger), nil
	case *eventsv1.CloudEvent_CloudEventAttributeValue_CeString:
		return event.Typed(name, a.CeString), nil
	case *eventsv1.CloudEvent_CloudEventAttributeValue_CeBytes:
		return event.Binary(a.CeBytes), nil
	case *eventsv1.CloudEvent_CloudEventAttributeValue_CeUri:
		return event.URI(a.CeUri), nil
	case *eventsv1.CloudEvent_CloudEventAttributeValue_CeUriRef:
		return event.URIRef(a.CeUriRef), nil
	case *eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp:
		if err := a.CeTimestamp.CheckValid(); err != nil {
			return event.Value{}, &event.FieldError{Field: name, Reason: "must be a valid timestamp"}
		}
		return event.Timestamp(a.CeTimestamp.AsTime()), nil
	default:
		return event.Value{}, &event.FieldError{Field: name, Reason: "must have a value"}
	}
}

// ToProto converts e. Data is shared with e and always binary_data; an event
// without data has none.
func ToProto(e *event.Event) *eventsv1.CloudEvent {
	p := &eventsv1.CloudEvent{Id: e.ID, Source: e.Source, SpecVersion: event.SpecVersion, Type: e.Type}
	if len(e.Attrs) > 0 {
		p.Attributes = make(map[string]*eventsv1.CloudEvent_CloudEventAttributeValue, len(e.Attrs))
	}
	for _, a := range e.Attrs {
		p.Attributes[a.Name] = toValue(a.Value)
	}
	if len(e.Data) > 0 {
		p.Data = &eventsv1.CloudEvent_BinaryData{BinaryData: e.Data}
	}
	return p
}

func toValue(v event.Value) *eventsv1.CloudEvent_CloudEventAttributeValue {
	out := &eventsv1.CloudEvent_CloudEventAttributeValue{}
	switch v.Kind() {
	case event.KindBoolean:
		out.Attr = &eventsv1.CloudEvent_CloudEventAttributeValue_CeBoolean{CeBoolean: v.Bool()}
	case event.KindInteger:
		out.Attr = &eventsv1.CloudEvent_CloudEventAttributeValue_CeInteger{CeInteger: v.Int()}
	case event.KindBinary:
		out.Attr = &eventsv1.CloudEvent_CloudEventAttributeValue_CeBytes{CeBytes: v.Bytes()}
	case event.KindURI:
		out.Attr = &eventsv1.CloudEvent_CloudEventAttributeValue_CeUri{CeUri: v.String()}
	case event.KindURIRef:
		out.Attr = &eventsv1.CloudEvent_CloudEventAttributeValue_CeUriRef{CeUriRef: v.String()}
	case event.KindTimestamp:
		out.Attr = &eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp{CeTimestamp: timestamppb.New(v.Time())}
	default:
		out.Attr = &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: v.String()}
	}
	return out
}
