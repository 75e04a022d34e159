package mapping

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/coding"
	"github.com/warrenmesh/warren/proxy/event/eventjson"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
)

// Origin is where a message was first published, by what name its plain form is told.
type Origin struct {
	Exchange   string // "" is the default exchange
	RoutingKey string
	Queue      string // from which the message came
}

// OriginOf reads the origin of a message that came from queue.
func OriginOf(m *message.Message, queue string) Origin {
	if m.Exchange == "" {
		if _, ok := m.Headers.Lookup(OriginExchange); ok {
			return Origin{m.Headers.Text(OriginExchange), m.Headers.Text(OriginKey), queue}
		}
	}
	return Origin{m.Exchange, m.RoutingKey, queue}
}

// Event is the event that m carries, or that a plain m is; it is valid and shares m's
// body and strings. The error says why m is none.
func Event(m *message.Message, queue string) (*event.Event, error) {
	return EventOf(m, OriginOf(m, queue), &event.Room{})
}

// EventOf is Event for a message whose origin is known by other means, and for an event
// that may be made in room, which nobody else uses.
func EventOf(m *message.Message, origin Origin, room *event.Room) (*event.Event, error) {
	if m.Broken != nil {
		return nil, m.Broken
	}
	r, err := read(m, room)
	if err != nil {
		return nil, err
	}
	if r.mode == modePlain {
		r.event = plainEvent(m, origin)
	}
	return r.event, nil
}

// mode is how a message carries its event.
type mode int

const (
	modePlain mode = iota
	modeStructured
	modeBinary
	modeBare
)

// reading is a message as far as it can be read without its origin.
type reading struct {
	mode   mode
	prefix string       // of binary mode
	event  *event.Event // nil when the mode is plain
}

// read applies the rule of the package.
func read(m *message.Message, room *event.Room) (reading, error) {
	if format, ok := structuredFormat(m.ContentType); ok {
		e, err := structuredEvent(m, format)
		return reading{mode: modeStructured, event: e}, err
	}
	if prefix := dialect(&m.Headers); prefix != "" {
		e, err := binaryEvent(m, prefix, room)
		return reading{mode: modeBinary, prefix: prefix, event: e}, err
	}
	if e := bareEvent(m); e != nil {
		return reading{mode: modeBare, event: e}, nil
	}
	return reading{}, nil
}

// maxDecoded bounds what the body of a structured message may become: the most data
// that Warren carries in one event.
const maxDecoded = 16 << 20

// media starts the content types of structured mode and of batches.
const media = "application/cloudevents"

// structuredFormat returns what follows media in the content type, without parameters
// and in lower case. ok is false when the mode is another.
func structuredFormat(contentType string) (format string, ok bool) {
	kind, _, _ := strings.Cut(contentType, ";")
	kind = strings.TrimSpace(kind)
	if len(kind) < len(media) || !strings.EqualFold(kind[:len(media)], media) {
		return "", false
	}
	return strings.ToLower(kind[len(media):]), true
}

func structuredEvent(m *message.Message, format string) (*event.Event, error) {
	if strings.HasPrefix(format, "-batch") {
		return nil, fmt.Errorf("content type %q is a batch: a message is settled once, so each event must be a message of its own", m.ContentType)
	}
	decode, ok := formats[format]
	if !ok {
		return nil, fmt.Errorf("content type %q is not supported: want %s+json or +protobuf", m.ContentType, media)
	}
	if m.ContentEncoding == "" {
		return decode(m.Body)
	}
	// Without its body there is no event at all, so it is decoded whatever the subscription
	// says. What is no compression is mostly a charset.
	body, err := coding.Decode(m.ContentEncoding, m.Body, maxDecoded)
	if err == nil {
		return decode(body)
	}
	if !errors.Is(err, coding.ErrUnknown) {
		return nil, err
	}
	e, asIs := decode(m.Body)
	if asIs != nil {
		return nil, fmt.Errorf("%w, with content encoding %q", asIs, m.ContentEncoding)
	}
	return e, nil
}

var formats = map[string]func([]byte) (*event.Event, error){
	"":          eventjson.Decode,
	"+json":     eventjson.Decode,
	"+protobuf": decodeProtobuf,
}

func decodeProtobuf(body []byte) (*event.Event, error) {
	p := &eventsv1.CloudEvent{}
	if err := proto.Unmarshal(body, p); err != nil {
		return nil, fmt.Errorf("decode protobuf event: %w", err)
	}
	if v := p.GetSpecVersion(); v != event.SpecVersion { // a message of others is held to the specification
		return nil, &event.FieldError{Field: event.AttrSpecVersion, Reason: fmt.Sprintf("is %.20q, want %q", v, event.SpecVersion)}
	}
	e, err := eventpb.FromProto(p)
	if err == nil {
		err = e.Validate()
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

func binaryEvent(m *message.Message, prefix string, room *event.Room) (*event.Event, error) {
	b := room.Builder()
	b.Grow(max(len(m.Headers.Fields)-3, 1)) // without the four that are required, with the content type
	for i := range m.Headers.Fields {
		f := &m.Headers.Fields[i]
		name, ok := strings.CutPrefix(f.Name, prefix)
		if !ok || f.Kind == message.KindVoid || event.CheckName(name) != nil {
			continue
		}
		v, err := attribute(name, f)
		if err == nil {
			err = b.Add(name, v)
		}
		if err != nil {
			return nil, err
		}
	}
	return finish(&b, m)
}

// finish adds the content type, which is the property unless a header says more. Some
// writers have it in a header of HTTP's name alone.
func finish(b *event.Builder, m *message.Message) (*event.Event, error) {
	e, err := b.Event(m.Body)
	if err != nil {
		return nil, err
	}
	contentType := m.ContentType
	if contentType == "" {
		if s := m.Headers.Text(httpContentType); mediaType(s) {
			contentType = s
		}
	}
	if _, ok := e.Lookup(event.AttrDataContentType); !ok && contentType != "" {
		e.Set(event.AttrDataContentType, event.String(contentType))
	}
	if err := e.Validate(); err != nil {
		return nil, err
	}
	return e, nil
}

// bareEvent reads headers named like attributes, without a prefix, if they are together
// a valid event; other producers use such names for other things, so without the
// version they are none. What cannot be an attribute stays a header.
func bareEvent(m *message.Message) *event.Event {
	if m.Headers.Text(event.AttrSpecVersion) != event.SpecVersion {
		return nil
	}
	var b event.Builder
	for i := range m.Headers.Fields {
		f := &m.Headers.Fields[i]
		if !bareName(f) {
			continue
		}
		if v, err := attribute(f.Name, f); err == nil && b.Add(f.Name, v) != nil {
			return nil
		}
	}
	e, err := finish(&b, m)
	if err != nil {
		return nil
	}
	return e
}

// bareName reports whether a header may be an attribute with a bare name. Some writers
// have an empty one for each optional attribute that the event lacks.
func bareName(f *message.Field) bool {
	if f.Kind == message.KindVoid || hop(f.Name) || event.CheckName(f.Name) != nil {
		return false
	}
	switch f.Name {
	case event.AttrSubject, event.AttrDataSchema, event.AttrTime, event.AttrDataContentType:
		return f.Raw != ""
	}
	return true
}
