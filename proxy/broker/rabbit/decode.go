package rabbit

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/message"
	"github.com/warrenmesh/warren/proxy/event"
)

// Quorum queues count what comes back unsettled. From RabbitMQ 4.3 on a nack counts
// in the second alone, before in both or, older still, in the first.
const (
	deliveryCountHeader = "x-delivery-count"
	acquiredCountHeader = "x-acquired-count"
	deathHeader         = "x-death"
)

// decode makes a delivery of an AMQP message from anywhere. Its body is shared.
// What cannot be an event has Malformed set. Epoch and Settler are left to the
// caller.
func decode(m *message.Message, o *broker.ConsumeOptions) *broker.Delivery {
	out := &broker.Delivery{
		Raw:             m.Body,
		Size:            int(min(m.Size, math.MaxInt)), //nolint:gosec // bounded
		Exchange:        m.Exchange,
		RoutingKey:      m.RoutingKey,
		Queue:           o.Queue,
		Tag:             m.Tag,
		AppID:           m.AppID,
		Priority:        m.Priority,
		ReplyTo:         m.ReplyTo,
		ContentEncoding: m.ContentEncoding,
		Trace: broker.TraceContext{
			Parent:  m.Headers.Text(traceParentHeader),
			State:   m.Headers.Text(traceStateHeader),
			Baggage: m.Headers.Text(baggageHeader),
		},
		Lifetime: lifetime(m.Expiration),
	}
	ours := isOurs(m)
	decodeHop(out, m, o, ours)
	out.Returning = m.Redelivered
	if left := m.Size > uint64(len(m.Body)); left {
		out.ID = identify(m, ours)
		out.Malformed = fmt.Errorf("the message has %d bytes, at most %d are read", m.Size, o.MaxBytes)
		return out
	}
	if m.Broken == nil || headersOnly(m.Broken) {
		out.Original = &original{properties: m.Properties, body: m.Body, ours: ours}
	}
	e, err := readEvent(m, o.Queue)
	if err != nil {
		out.ID, out.Malformed = identify(m, ours), fmt.Errorf("message is not an event: %w", err)
		return out
	}
	out.Event = e
	return out
}

// readEvent returns the valid event that m is.
func readEvent(m *message.Message, queue string) (*event.Event, error) {
	if m.Broken != nil {
		return nil, m.Broken
	}
	e, err := decodeEvent(legacy(m), queue)
	if err != nil {
		return nil, err
	}
	return e, e.Validate()
}

func headersOnly(err error) bool {
	var e *message.HeadersError
	return errors.As(err, &e)
}

// isOurs reports whether m came by Warren's own way, the default exchange, by which its
// copies go: its warren- headers are true. To those of a message that came by another
// exchange, anybody may have given any value. What the broker itself put into a queue came
// there by an exchange of dead letters, and says by which it came before.
func isOurs(m *message.Message) bool {
	d, dead := firstDeath(&m.Headers)
	switch m.Exchange {
	case "":
		return !dead || d.exchange == ""
	case deadLetters:
		return dead && d.exchange == ""
	default:
		return false
	}
}

// decodeHop reads what Warren and the broker say of a message.
func decodeHop(out *broker.Delivery, m *message.Message, o *broker.ConsumeOptions, ours bool) {
	h := &m.Headers
	if n, ok := whole(h, partitionHeader); ok && n >= 0 && n <= math.MaxUint32 {
		out.Partition, out.Partitioned = uint32(n), true // a string of digits matches no binding
	}
	if n := number(h, expiresHeader); n > 0 {
		out.Expires = time.UnixMilli(n)
	}
	attempt := int64(1)
	if ours {
		attempt = max(count(h, attemptHeader), 1)
		out.FirstFailure = moment(h, firstFailureHeader)
		out.Crashes = uint32(count(h, crashesHeader))
		out.DeadLetter = decodeDeadLetter(h)
		out.Lifetime = cmp.Or(out.Lifetime, lifetime(h.Text(lifetimeHeader)))
		if _, ok := h.Lookup(originExchangeHeader); ok {
			out.Exchange, out.RoutingKey = h.Text(originExchangeHeader), h.Text(originKeyHeader)
		}
	}
	if m.Redelivered && !o.Uncounted {
		failed, taken := count(h, deliveryCountHeader), count(h, acquiredCountHeader)
		out.Returned, out.Waited = uint32(max(failed, taken)), uint32(max(taken-failed, 0))
	}
	if o.Letters {
		decodeDeath(out, h)
	}
	out.Attempt = uint32(min(attempt+int64(out.Returned), math.MaxUint32))
	republished := false
	if f, ok := h.Lookup(republishedHeader); ok {
		republished, _ = f.Bool()
	}
	out.Redelivered = m.Redelivered || republished || out.Attempt > 1
}

// lifetime reads an expiration property.
func lifetime(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Millisecond //nolint:gosec // 32 bits
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

// whole returns a header that is an integer.
func whole(t *message.Table, name string) (int64, bool) {
	f, ok := t.Lookup(name)
	if !ok {
		return 0, false
	}
	return f.Int()
}

// number returns a header that is an integer, or a string of one, 0 when it is
// neither.
func number(t *message.Table, name string) int64 {
	if n, ok := whole(t, name); ok {
		return n
	}
	n, err := strconv.ParseInt(t.Text(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// moment returns a header that is a time in RFC 3339, the zero time when it is not.
func moment(t *message.Table, name string) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, t.Text(name))
	return at
}

// count returns a header that counts something, within what a uint32 holds.
func count(t *message.Table, name string) int64 {
	return min(max(number(t, name), 0), math.MaxUint32)
}

func decodeDeadLetter(t *message.Table) *broker.DeadLetter {
	f, ok := t.Lookup(deadReasonHeader)
	if !ok || f.Kind != message.KindText {
		return nil
	}
	return &broker.DeadLetter{
		Reason:       f.Raw,
		Detail:       t.Text(deadDetailHeader),
		Subscription: t.Text(deadSubscriptionHeader),
		Exchange:     t.Text(deadExchangeHeader),
		RoutingKey:   t.Text(deadRoutingKeyHeader),
		Attempts:     uint32(count(t, deadAttemptsHeader)),
		FirstFailure: moment(t, deadFirstFailureHeader),
		Time:         moment(t, deadTimeHeader),
		Cut:          t.Text(deadCutHeader),
	}
}
