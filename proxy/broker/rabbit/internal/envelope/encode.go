package envelope

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/fault"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/mapping"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

// Headers. An event's attributes are ce- headers (the RabbitMQ protocol binding
// CloudEvents lists); ours start with warren-, because x- is the broker's.
const (
	// IDHeader has the id of an event.
	IDHeader = mapping.Prefix + event.AttrID

	attemptHeader     = "warren-attempt"
	republishedHeader = "warren-republished"

	originExchangeHeader = mapping.OriginExchange
	originKeyHeader      = mapping.OriginKey

	// PartitionHeader is an integer, which the bindings of a partitioner match.
	PartitionHeader = "warren-partition"
	// CopyHeader numbers a publish whose event is in flight already on the same channel: only
	// then can a return be taken for the other one's.
	CopyHeader = "warren-copy"

	firstFailureHeader = "warren-first-failure"
	expiresHeader      = "warren-expires" // milliseconds since 1970
	crashesHeader      = "warren-crashes"
	lifetimeHeader     = "warren-expiration" // the expiration property of the first publish
	userIDHeader       = "warren-user-id"    // the user_id property of the first publish

	deadReasonHeader       = "warren-dead-letter-reason"
	deadDetailHeader       = "warren-dead-letter-detail"
	deadSubscriptionHeader = "warren-dead-letter-subscription"
	deadExchangeHeader     = "warren-dead-letter-exchange"
	deadRoutingKeyHeader   = "warren-dead-letter-routing-key"
	deadAttemptsHeader     = "warren-dead-letter-attempts"
	deadFirstFailureHeader = "warren-dead-letter-first-failure"
	deadTimeHeader         = "warren-dead-letter-time"
	deadCutHeader          = "warren-dead-letter-cut"

	reservedPrefix = mapping.OwnPrefix
)

const (
	// maxDetail is the most bytes of a dead letter's detail.
	maxDetail = 200
	// maxExpiration is the longest TTL RabbitMQ takes, about 49 days.
	maxExpiration = time.Duration(math.MaxUint32) * time.Millisecond
)

// Limits are what a message may need at most, and the clock.
type Limits struct {
	HeaderBytes int // of the encoded header table
	DataBytes   int
	Now         func() time.Time // the wall clock, for expiry times
}

// Encode makes the AMQP form of m: binary mode, attributes in headers, data as the body;
// or a copy of a message. id is the event's. It refuses everything the broker would close a
// channel or the connection for. The body is shared with m. The headers are made in space, if
// there is any, as far as it suffices.
func Encode(m *queueing.Message, l *Limits, space []message.Field) (p message.Properties, id string, body []byte, err error) {
	switch of, isCopy := m.Of.(*Original); {
	case len(m.Exchange) > message.MaxShort || len(m.RoutingKey) > message.MaxShort:
		return p, "", nil, invalid(m, fmt.Errorf("exchange of %d and routing key of %d bytes: want at most %d", len(m.Exchange), len(m.RoutingKey), message.MaxShort))
	case m.Of == nil:
		if p, err = encodeEvent(m, l, space); err != nil {
			return p, "", nil, err
		}
		return p, m.Event.ID, m.Event.Data, nil
	case !isCopy:
		return p, "", nil, invalid(m, fmt.Errorf("a %T is no message of RabbitMQ", m.Of))
	default:
		p, err = encodeCopy(m, of)
		return p, p.Headers.Text(IDHeader), of.Body, err
	}
}

// encodeEvent makes the properties of an event.
func encodeEvent(m *queueing.Message, l *Limits, space []message.Field) (p message.Properties, err error) {
	e := m.Event
	if e == nil {
		return p, invalid(m, errors.New("message has no event"))
	}
	if len(e.Data) > l.DataBytes {
		return p, fault.NotSent(broker.TooLarge, fault.PublishOp(m.Exchange), fmt.Errorf("data of %d bytes: want at most %d", len(e.Data), l.DataBytes))
	}
	p = properties(m)
	p.Headers.Fields = space[:0]
	if err := addEvent(&p.Headers, m); err != nil {
		return p, invalid(m, err)
	}
	if size := p.Headers.Size(); size > l.HeaderBytes {
		return p, fault.NotSent(broker.TooLarge, fault.PublishOp(m.Exchange), fmt.Errorf("headers of %d bytes: want at most %d", size, l.HeaderBytes))
	}
	if p.Expiration, err = expiration(m, l.Now()); err != nil {
		return p, invalid(m, err)
	}
	return p, nil
}

func invalid(m *queueing.Message, err error) error {
	return fault.NotSent(broker.Invalid, fault.PublishOp(m.Exchange), err)
}

// addEvent adds everything of m that travels in headers.
func addEvent(t *message.Table, m *queueing.Message) error {
	t.Fields = slices.Grow(t.Fields, 8+len(m.Event.Attrs)+len(m.Headers))
	if err := mapping.AppendAttributes(t, m.Event); err != nil {
		return err
	}
	if err := mapping.AppendHeaders(t, m.Headers); err != nil {
		return err
	}
	addText(t, mapping.TraceParent, m.Trace.Parent)
	addText(t, mapping.TraceState, m.Trace.State)
	addText(t, mapping.Baggage, m.Trace.Baggage)
	addHop(t, m)
	return nil
}

// addHop adds what Warren says of m.
func addHop(t *message.Table, m *queueing.Message) {
	if m.Attempt > 1 {
		t.AddInt(attemptHeader, int64(m.Attempt))
	}
	if m.Crashes > 0 {
		t.AddInt(crashesHeader, int64(m.Crashes))
	}
	if m.Republished {
		t.AddBool(republishedHeader, true)
	}
	if m.OriginExchange != "" || m.OriginKey != "" {
		t.AddText(originExchangeHeader, m.OriginExchange) // "" is the default exchange
		t.AddText(originKeyHeader, m.OriginKey)
	}
	if m.Partitioned {
		t.AddInt(PartitionHeader, int64(m.Partition))
	}
	if !m.Expires.IsZero() {
		t.AddInt(expiresHeader, m.Expires.UnixMilli())
	}
	if m.DeadLetter != nil {
		addDeadLetter(t, m.DeadLetter) // which has the first failure, too
	} else {
		addTime(t, firstFailureHeader, m.FirstFailure)
	}
}

func addDeadLetter(t *message.Table, d *broker.DeadLetter) {
	t.AddText(deadReasonHeader, d.Reason)
	addText(t, deadDetailHeader, cutText(d.Detail, maxDetail))
	addText(t, deadSubscriptionHeader, d.Subscription)
	t.AddText(deadExchangeHeader, d.Origin.Name) // "" is the default exchange
	addText(t, deadRoutingKeyHeader, d.Origin.Key)
	t.AddInt(deadAttemptsHeader, int64(d.Attempts))
	addTime(t, deadFirstFailureHeader, d.FirstFailure)
	addTime(t, deadTimeHeader, d.Time)
}

func addText(t *message.Table, name, value string) {
	if value != "" {
		t.AddText(name, value)
	}
}

func addTime(t *message.Table, name string, at time.Time) {
	if !at.IsZero() {
		t.AddText(name, at.UTC().Format(time.RFC3339Nano))
	}
}

// cutText returns at most n bytes of s, whole runes.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// properties are the AMQP properties, which other clients and the broker's tools
// read. The headers are authoritative, so what is too long is left out.
func properties(m *queueing.Message) message.Properties {
	p := message.Properties{
		ContentType:     mapping.ContentType(m.Event),
		ContentEncoding: short(m.ContentEncoding),
		MessageID:       short(m.Event.ID),
		CorrelationID:   short(m.Event.Text(event.AttrCorrelationID)),
		ReplyTo:         short(m.ReplyTo),
		Type:            short(m.Event.Type),
		AppID:           short(m.AppID),
		Priority:        m.Priority,
		DeliveryMode:    1,
	}
	if m.Persistent {
		p.DeliveryMode = message.Persistent
	}
	// The property is unsigned whole seconds; ce-time has it exactly.
	if t, ok := m.Event.Lookup(event.AttrTime); ok && t.Time().Unix() > 0 {
		p.Timestamp = uint64(t.Time().Unix()) //nolint:gosec // positive
	}
	return p
}

func short(s string) string {
	if len(s) > message.MaxShort {
		return ""
	}
	return s
}

// expiration is the shorter of the message's TTL and the event's remaining life,
// in milliseconds; "" means that it never expires. It is rounded up: "0" would
// mean to drop the message unless a consumer is ready.
func expiration(m *queueing.Message, now time.Time) (string, error) {
	ttl := m.TTL
	if v, ok := m.Event.Lookup(event.AttrExpiryTime); ok && v.Kind() == event.KindTimestamp {
		left := v.Time().Sub(now)
		if left <= 0 {
			return "", fmt.Errorf("event expired at %s", v)
		}
		if ttl <= 0 || left < ttl {
			ttl = left
		}
	}
	return milliseconds(ttl), nil
}

// milliseconds is a TTL as the expiration property, "" for none and for one that
// RabbitMQ does not take.
func milliseconds(ttl time.Duration) string {
	if ttl <= 0 || ttl > maxExpiration {
		return ""
	}
	return strconv.FormatInt(int64((ttl+time.Millisecond-1)/time.Millisecond), 10)
}
