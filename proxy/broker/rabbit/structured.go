package rabbit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"mime"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
)

// structuredPrefix starts the content type of structured and batch mode.
const structuredPrefix = "application/cloudevents"

// decodeStructured reads an event whose attributes are in the body. ok is false
// when the content type says that it is none.
func decodeStructured(d *amqp.Delivery) (e *event.Event, ok bool, err error) {
	kind := strings.ToLower(strings.TrimSpace(d.ContentType))
	if kind, _, _ = strings.Cut(kind, ";"); !strings.HasPrefix(kind, structuredPrefix) {
		return nil, false, nil
	}
	switch strings.TrimSpace(kind) {
	case structuredPrefix, structuredPrefix + "+json":
		e, err = decodeJSON(d.Body)
	case structuredPrefix + "+protobuf":
		e, err = decodeProtobuf(d.Body)
	default:
		err = fmt.Errorf("content type %q is not supported: want %s+json or +protobuf", d.ContentType, structuredPrefix)
	}
	return e, true, err
}

func decodeProtobuf(body []byte) (*event.Event, error) {
	p := &eventsv1.CloudEvent{}
	if err := proto.Unmarshal(body, p); err != nil {
		return nil, fmt.Errorf("decode protobuf event: %w", err)
	}
	return eventpb.FromProto(p)
}

// decodeJSON reads the CloudEvents JSON format 1.0.2.
func decodeJSON(body []byte) (*event.Event, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, fmt.Errorf("decode JSON event: %w", err)
	}
	e := &event.Event{}
	for name, raw := range members {
		if name == "data" || name == "data_base64" {
			continue
		}
		if err := setMember(e, name, raw); err != nil {
			return nil, err
		}
	}
	if _, ok := members[event.AttrSpecVersion]; !ok {
		return nil, &event.FieldError{Field: event.AttrSpecVersion, Reason: "must be set"}
	}
	return e, setJSONData(e, members)
}

func setMember(e *event.Event, name string, raw json.RawMessage) error {
	var v any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		return &event.FieldError{Field: name, Reason: "must be a JSON value"}
	}
	switch n := v.(type) {
	case nil:
		return nil // the same as absent
	case json.Number:
		i, err := n.Int64()
		if err != nil || i < math.MinInt32 || i > math.MaxInt32 {
			return &event.FieldError{Field: name, Reason: "numbers must be 32-bit integers"}
		}
		v = int32(i)
	}
	if name == event.AttrSpecVersion {
		return checkSpecVersion(v)
	}
	value, err := attribute(name, v)
	if err != nil {
		return err
	}
	e.Set(name, value)
	return nil
}

// setJSONData sets the data, byte for byte where it is JSON. Without a content
// type it is JSON by the format's definition, which is said explicitly from here
// on.
func setJSONData(e *event.Event, members map[string]json.RawMessage) error {
	if raw, ok := present(members, "data_base64"); ok {
		if err := json.Unmarshal(raw, &e.Data); err != nil {
			return &event.FieldError{Field: "data_base64", Reason: "must be a base64 string"}
		}
		return nil
	}
	raw, ok := present(members, "data")
	if !ok {
		return nil
	}
	contentType := e.Text(event.AttrDataContentType)
	if contentType == "" {
		e.Set(event.AttrDataContentType, event.String("application/json"))
	}
	var s string
	if contentType != "" && !isJSON(contentType) && json.Unmarshal(raw, &s) == nil {
		e.Data = []byte(s)
		return nil
	}
	e.Data = raw
	return nil
}

func present(members map[string]json.RawMessage, name string) (json.RawMessage, bool) {
	raw, ok := members[name]
	return raw, ok && string(raw) != "null"
}

// isJSON tells the media types whose data is a JSON value.
func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	_, subtype, _ := strings.Cut(kind, "/")
	return subtype == "json" || strings.HasSuffix(subtype, "+json")
}
