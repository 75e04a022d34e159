package rabbit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
)

// Quorum queues count what comes back unsettled. From RabbitMQ 4.3 on a nack counts
// in the second alone, before in both or, older still, in the first.
const (
	deliveryCountHeader = "x-delivery-count"
	acquiredCountHeader = "x-acquired-count"
)

// decode makes a delivery of an AMQP message from anywhere. Its body is shared.
// What cannot be an event has Malformed set. Epoch and Settler are left to the
// caller.
func decode(d *amqp.Delivery, queue string) *broker.Delivery {
	out := &broker.Delivery{
		Raw:        d.Body,
		Exchange:   d.Exchange,
		RoutingKey: d.RoutingKey,
		Queue:      queue,
		Tag:        d.DeliveryTag,
		AppID:      d.AppId,
		Priority:   d.Priority,
		Trace: broker.TraceContext{
			Parent:  text(d.Headers, traceParentHeader),
			State:   text(d.Headers, traceStateHeader),
			Baggage: text(d.Headers, baggageHeader),
		},
		DeadLetter: decodeDeadLetter(d.Headers),
	}
	if _, ok := d.Headers[originExchangeHeader]; ok {
		out.Exchange, out.RoutingKey = text(d.Headers, originExchangeHeader), text(d.Headers, originKeyHeader)
	}
	out.FirstFailure = moment(d.Headers, firstFailureHeader)
	if n, ok := integer(d.Headers[partitionHeader]); ok && n >= 0 && n <= math.MaxUint32 {
		out.Partition, out.Partitioned = uint32(n), true // a string of digits matches no binding
	}
	failed, taken := count(d.Headers, deliveryCountHeader), count(d.Headers, acquiredCountHeader)
	out.Returned, out.Waited = uint32(max(failed, taken)), uint32(max(taken-failed, 0))
	out.Attempt = uint32(min(max(count(d.Headers, attemptHeader), 1)+int64(out.Returned), math.MaxUint32))
	republished, _ := d.Headers[republishedHeader].(bool)
	out.Redelivered = d.Redelivered || republished || out.Attempt > 1
	e, err := decodeEvent(d, queue)
	if err == nil {
		err = e.Validate()
	}
	if err != nil {
		out.Malformed = fmt.Errorf("message is not an event: %w", err)
		return out
	}
	out.Event = e
	return out
}

// decodeEvent reads the event by the first form that applies: binary mode in one
// of three header dialects, binary mode with bare header names as Knative's broker
// writes it, structured mode, and anything else as raw data.
func decodeEvent(d *amqp.Delivery, queue string) (*event.Event, error) {
	if prefix := dialect(d.Headers); prefix != "" {
		return decodeBinary(d, prefix)
	}
	if e := decodeBare(d); e != nil {
		return e, nil
	}
	if e, ok, err := decodeStructured(d); ok {
		return e, err
	}
	return decodeRaw(d, queue), nil
}

// dialects are the header prefixes of binary mode: the RabbitMQ binding's, and the
// two of the AMQP 1.0 binding, whose headers RabbitMQ passes to 0-9-1 clients.
var dialects = [...]string{attributePrefix, "cloudEvents_", "cloudEvents:"}

// dialect returns the prefix the message's attributes have, "" when it has none.
// One that has the spec version wins over one that has only an id.
func dialect(h amqp.Table) string {
	for _, marker := range [...]string{event.AttrSpecVersion, event.AttrID} {
		for _, prefix := range dialects {
			if _, ok := h[prefix+marker]; ok {
				return prefix
			}
		}
	}
	return ""
}

func decodeBinary(d *amqp.Delivery, prefix string) (*event.Event, error) {
	e := &event.Event{Data: d.Body, Attrs: make([]event.Attr, 0, len(d.Headers))}
	for name, v := range d.Headers {
		name, ok := strings.CutPrefix(name, prefix)
		if !ok || v == nil {
			continue
		}
		if name == event.AttrSpecVersion {
			if err := checkSpecVersion(v); err != nil {
				return nil, err
			}
			continue
		}
		value, err := attribute(name, v)
		if err != nil {
			return nil, err
		}
		e.Set(name, value)
	}
	setContentType(e, d.ContentType)
	return e, nil
}

func checkSpecVersion(v any) error {
	if s, ok := headerText(v); !ok || s != event.SpecVersion {
		return &event.FieldError{Field: event.AttrSpecVersion, Reason: fmt.Sprintf("is %v, want %q", v, event.SpecVersion)}
	}
	return nil
}

// setContentType takes the property, unless a header says more.
func setContentType(e *event.Event, contentType string) {
	if contentType == "" {
		return
	}
	if _, ok := e.Lookup(event.AttrDataContentType); !ok {
		e.Set(event.AttrDataContentType, event.String(contentType))
	}
}

// decodeBare reads headers named like attributes, without a prefix, if together
// they make a valid event; other producers use such names for other things.
func decodeBare(d *amqp.Delivery) *event.Event {
	version, ok := d.Headers[event.AttrSpecVersion]
	if ok && checkSpecVersion(version) != nil {
		return nil
	}
	e := &event.Event{Data: d.Body}
	for name, v := range d.Headers {
		if v == nil || name == event.AttrSpecVersion || hopHeader(name) || event.CheckName(name) != nil {
			continue
		}
		if value, err := attribute(name, v); err == nil {
			e.Set(name, value)
		}
	}
	setContentType(e, d.ContentType)
	if e.Validate() != nil {
		return nil
	}
	return e
}

// hopHeader tells the headers that carry the hop's trace context.
func hopHeader(name string) bool {
	return name == traceParentHeader || name == traceStateHeader || name == baggageHeader
}

// attribute makes a typed value of a header. Strings get the type the
// specification gives the attribute.
func attribute(name string, v any) (event.Value, error) {
	if err := event.CheckName(name); err != nil {
		return event.Value{}, err
	}
	switch v := v.(type) {
	case bool:
		return event.Boolean(v), nil
	case time.Time:
		if y := v.UTC().Year(); y < 0 || y > 9999 {
			return event.Value{}, &event.FieldError{Field: name, Reason: "must be a time in the years 0 to 9999"}
		}
		return event.Timestamp(v.UTC()), nil
	}
	if n, ok := integer(v); ok {
		if n < math.MinInt32 || n > math.MaxInt32 {
			return event.String(strconv.FormatInt(n, 10)), nil
		}
		return event.Integer(int32(n)), nil
	}
	if s, ok := headerText(v); ok {
		return wellKnown(name, s), nil
	}
	return event.Value{}, &event.FieldError{Field: name, Reason: fmt.Sprintf("header of type %T is no attribute value", v)}
}

// wellKnown types a string. A malformed timestamp stays a string, which
// event.Validate refuses.
func wellKnown(name, s string) event.Value {
	switch name {
	case event.AttrTime, event.AttrExpiryTime:
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return event.Timestamp(t)
		}
	case event.AttrDataSchema:
		return event.URI(s)
	}
	return event.String(s)
}

// integer reads any AMQP integer type.
func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case int8:
		return int64(v), true
	case byte:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint16:
		return int64(v), true
	case int32:
		return int64(v), true
	case uint32:
		return int64(v), true
	case int64:
		return v, true
	case int:
		return int64(v), true
	default:
		return 0, false
	}
}

// headerText reads AMQP's long string, and the byte array some clients send.
func headerText(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case []byte:
		return string(v), true
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	default:
		return "", false
	}
}

// text returns a header that is a string, "" when it is not.
func text(h amqp.Table, name string) string {
	s, _ := headerText(h[name])
	return s
}

// number returns a header that is an integer, or a string of one, 0 when it is
// neither.
func number(h amqp.Table, name string) int64 {
	v := h[name]
	if n, ok := integer(v); ok {
		return n
	}
	s, _ := headerText(v)
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return 0
	}
	return n
}

// moment returns a header that is a time in RFC 3339, the zero time when it is not.
func moment(h amqp.Table, name string) time.Time {
	t, _ := time.Parse(time.RFC3339Nano, text(h, name))
	return t
}

// count returns a header that counts something, within what a uint32 holds.
func count(h amqp.Table, name string) int64 {
	return min(max(number(h, name), 0), math.MaxUint32)
}

func decodeDeadLetter(h amqp.Table) *broker.DeadLetter {
	reason, ok := h[deadReasonHeader].(string)
	if !ok {
		return nil
	}
	return &broker.DeadLetter{
		Reason:       reason,
		Detail:       text(h, deadDetailHeader),
		Subscription: text(h, deadSubscriptionHeader),
		Exchange:     text(h, deadExchangeHeader),
		RoutingKey:   text(h, deadRoutingKeyHeader),
		Attempts:     uint32(count(h, deadAttemptsHeader)),
		FirstFailure: moment(h, deadFirstFailureHeader),
		Time:         moment(h, deadTimeHeader),
	}
}
