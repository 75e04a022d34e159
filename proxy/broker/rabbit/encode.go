package rabbit

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
)

// Headers. An event's attributes are ce- headers (the RabbitMQ protocol binding
// CloudEvents lists); ours start with warren-, because x- is the broker's.
const (
	attributePrefix = "ce-"
	eventIDHeader   = attributePrefix + event.AttrID

	traceParentHeader = "traceparent" // of the hop; the event's own has the prefix
	traceStateHeader  = "tracestate"
	baggageHeader     = "baggage"

	attemptHeader     = "warren-attempt"
	republishedHeader = "warren-republished"

	originExchangeHeader = "warren-origin-exchange"
	originKeyHeader      = "warren-origin-key"

	partitionHeader    = "warren-partition" // an integer, which the bindings of a partitioner match
	firstFailureHeader = "warren-first-failure"

	deadReasonHeader       = "warren-dead-letter-reason"
	deadDetailHeader       = "warren-dead-letter-detail"
	deadSubscriptionHeader = "warren-dead-letter-subscription"
	deadExchangeHeader     = "warren-dead-letter-exchange"
	deadRoutingKeyHeader   = "warren-dead-letter-routing-key"
	deadAttemptsHeader     = "warren-dead-letter-attempts"
	deadFirstFailureHeader = "warren-dead-letter-first-failure"
	deadTimeHeader         = "warren-dead-letter-time"
)

const (
	// maxShort is the most bytes of an AMQP short string: names, keys, properties.
	maxShort = 255
	// maxDetail is the most bytes of a dead letter's detail.
	maxDetail = 200
	// maxExpiration is the longest TTL RabbitMQ takes, about 49 days.
	maxExpiration = time.Duration(math.MaxUint32) * time.Millisecond
)

// encode makes the AMQP form of m: binary mode, attributes in headers, data as
// the body. It refuses everything the broker would close a channel or the
// connection for. Data is shared with m.
func encode(m *broker.Message, o *Options) (*pending, error) {
	e := m.Event
	if e == nil {
		return nil, invalid(m, errors.New("message has no event"))
	}
	if len(m.Exchange) > maxShort || len(m.RoutingKey) > maxShort {
		return nil, invalid(m, fmt.Errorf("exchange of %d and routing key of %d bytes: want at most %d", len(m.Exchange), len(m.RoutingKey), maxShort))
	}
	if len(e.Data) > o.MaxDataBytes {
		return nil, notSent(broker.TooLarge, publishOp(m.Exchange), fmt.Errorf("data of %d bytes: want at most %d", len(e.Data), o.MaxDataBytes))
	}
	headers, err := encodeHeaders(m)
	if err != nil {
		return nil, invalid(m, err)
	}
	size := tableBytes(headers)
	if size > o.MaxHeaderBytes {
		return nil, notSent(broker.TooLarge, publishOp(m.Exchange), fmt.Errorf("headers of %d bytes: want at most %d", size, o.MaxHeaderBytes))
	}
	p := &pending{
		exchange: m.Exchange, key: m.RoutingKey, id: e.ID, mandatory: m.Mandatory, shard: shardOf(m),
		size: int64(len(e.Data)), headerBytes: size,
		message: properties(m), done: make(chan struct{}),
	}
	p.message.Headers, p.message.Body = headers, e.Data
	if p.message.Expiration, err = expiration(m, o.Now()); err != nil {
		return nil, invalid(m, err)
	}
	return p, nil
}

// shardOf tells apart the partitions of an exchange that need not wait for each
// other. What is copied straight to a queue needs no order.
func shardOf(m *broker.Message) uint32 {
	if !m.Partitioned || m.Exchange == "" {
		return 0
	}
	return m.Partition % shards
}

func invalid(m *broker.Message, err error) error {
	return notSent(broker.Invalid, publishOp(m.Exchange), err)
}

func encodeHeaders(m *broker.Message) (amqp.Table, error) {
	e := m.Event
	h := make(amqp.Table, 8+len(e.Attrs))
	h["ce-specversion"] = event.SpecVersion
	h[eventIDHeader] = e.ID
	h["ce-source"] = e.Source
	h["ce-type"] = e.Type
	for i := range e.Attrs {
		a := &e.Attrs[i]
		if a.Name == event.AttrDataContentType && len(a.Value.String()) <= maxShort {
			continue // content_type has it
		}
		if len(a.Name) > maxShort-len(attributePrefix) {
			return nil, fmt.Errorf("attribute name of %d bytes: want at most %d", len(a.Name), maxShort-len(attributePrefix))
		}
		v, err := headerValue(a)
		if err != nil {
			return nil, err
		}
		h[attributePrefix+a.Name] = v
	}
	setText(h, traceParentHeader, m.Trace.Parent)
	setText(h, traceStateHeader, m.Trace.State)
	setText(h, baggageHeader, m.Trace.Baggage)
	if m.Attempt > 1 {
		h[attemptHeader] = int64(m.Attempt)
	}
	if m.Republished {
		h[republishedHeader] = true
	}
	if m.OriginExchange != "" || m.OriginKey != "" {
		h[originExchangeHeader] = m.OriginExchange // "" is the default exchange
		h[originKeyHeader] = m.OriginKey
	}
	if m.Partitioned {
		h[partitionHeader] = int64(m.Partition)
	}
	if m.DeadLetter != nil {
		encodeDeadLetter(h, m.DeadLetter) // which has the first failure, too
	} else {
		setTime(h, firstFailureHeader, m.FirstFailure)
	}
	return h, nil
}

// headerValue is native for Boolean and Integer and the canonical string else.
func headerValue(a *event.Attr) (any, error) {
	switch a.Value.Kind() {
	case event.KindBoolean:
		return a.Value.Bool(), nil
	case event.KindInteger:
		return a.Value.Int(), nil
	case event.KindTimestamp:
		return timestampText(a.Name, a.Value.Time())
	default:
		return a.Value.String(), nil
	}
}

// timestampText is t in RFC 3339, in UTC where that cannot express t's zone.
func timestampText(name string, t time.Time) (string, error) {
	if _, offset := t.Zone(); offset%60 != 0 || offset <= -24*3600 || offset >= 24*3600 {
		t = t.UTC()
	}
	if y := t.Year(); y < 0 || y > 9999 {
		return "", fmt.Errorf("attribute %q: the year %d cannot be written in RFC 3339", name, y)
	}
	return t.Format(time.RFC3339Nano), nil
}

func encodeDeadLetter(h amqp.Table, d *broker.DeadLetter) {
	h[deadReasonHeader] = d.Reason
	setText(h, deadDetailHeader, cutText(d.Detail, maxDetail))
	setText(h, deadSubscriptionHeader, d.Subscription)
	h[deadExchangeHeader] = d.Exchange // "" is the default exchange
	setText(h, deadRoutingKeyHeader, d.RoutingKey)
	h[deadAttemptsHeader] = int64(d.Attempts)
	setTime(h, deadFirstFailureHeader, d.FirstFailure)
	setTime(h, deadTimeHeader, d.Time)
}

func setText(h amqp.Table, name, value string) {
	if value != "" {
		h[name] = value
	}
}

func setTime(h amqp.Table, name string, t time.Time) {
	if !t.IsZero() {
		h[name] = t.UTC().Format(time.RFC3339Nano)
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
func properties(m *broker.Message) amqp.Publishing {
	p := amqp.Publishing{
		ContentType:   short(m.Event.Text(event.AttrDataContentType)),
		MessageId:     short(m.Event.ID),
		CorrelationId: short(m.Event.Text(event.AttrCorrelationID)),
		Type:          short(m.Event.Type),
		AppId:         short(m.AppID),
		Priority:      m.Priority,
		DeliveryMode:  amqp.Transient,
	}
	if m.Persistent {
		p.DeliveryMode = amqp.Persistent
	}
	// The property is unsigned whole seconds; ce-time has it exactly.
	if t, ok := m.Event.Lookup(event.AttrTime); ok && t.Time().Unix() > 0 {
		p.Timestamp = t.Time()
	}
	return p
}

func short(s string) string {
	if len(s) > maxShort {
		return ""
	}
	return s
}

// expiration is the shorter of the message's TTL and the event's remaining life,
// in milliseconds; "" means that it never expires. It is rounded up: "0" would
// mean to drop the message unless a consumer is ready.
func expiration(m *broker.Message, now time.Time) (string, error) {
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
	if ttl <= 0 || ttl > maxExpiration {
		return "", nil
	}
	return strconv.FormatInt(int64((ttl+time.Millisecond-1)/time.Millisecond), 10), nil
}

// tableBytes is the encoded size of a header table (AMQP 0-9-1, 4.2.5.5).
func tableBytes(h amqp.Table) int {
	n := 4
	for name, v := range h {
		n += 1 + len(name) + 1
		switch v := v.(type) {
		case string:
			n += 4 + len(v)
		case bool:
			n++
		case int32:
			n += 4
		default:
			n += 8
		}
	}
	return n
}
