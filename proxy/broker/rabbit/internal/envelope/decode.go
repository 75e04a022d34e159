package envelope

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/mapping"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/message"
	"github.com/warrenmesh/warren/proxy/event"
)

// Quorum queues count what comes back unsettled. From RabbitMQ 4.3 on a nack counts
// in the second alone, before in both or, older still, in the first.
const (
	deliveryCountHeader = "x-delivery-count"
	acquiredCountHeader = "x-acquired-count"
	deathHeader         = "x-death"
)

// Decode makes a delivery of an AMQP message from anywhere. Its body and its strings are
// shared, and m itself is the caller's again.
// What cannot be an event has Malformed set. Epoch and Settler are left to the
// caller.
func Decode(m *message.Message, o *queueing.ConsumeOptions) *queueing.Delivery {
	whole := &struct { // they live equally long
		queueing.Delivery
		original Original
		event    event.Room
	}{}
	out := &whole.Delivery
	*out = queueing.Delivery{Delivery: broker.Delivery{
		Raw:             m.Body,
		Size:            int(min(m.Size, math.MaxInt)), //nolint:gosec // bounded
		Origin:          broker.Origin{Name: m.Exchange, Key: m.RoutingKey},
		Part:            o.Queue,
		Tag:             m.Tag,
		AppID:           m.AppID,
		Priority:        m.Priority,
		ReplyTo:         m.ReplyTo,
		ContentEncoding: mapping.ContentEncoding(m),
		Headers:         mapping.Headers(m),
		Trace: broker.TraceContext{
			Parent:  m.Headers.Text(mapping.TraceParent),
			State:   m.Headers.Text(mapping.TraceState),
			Baggage: m.Headers.Text(mapping.Baggage),
		},
		Lifetime: lifetime(m.Expiration),
	}}
	ours := isOurs(m)
	decodeHop(out, m, o, ours)
	out.Returning = m.Redelivered
	if left := m.Size > uint64(len(m.Body)); left {
		out.ID = identify(m, ours)
		out.Malformed = fmt.Errorf("the message has %d bytes, at most %d are read", m.Size, o.MaxBytes)
		return out
	}
	if m.Broken == nil || headersOnly(m.Broken) {
		whole.original = Original{Encoded: m.Encoded, Body: m.Body, ours: ours}
		out.Original = &whole.original
	}
	e, err := mapping.EventOf(m, mapping.Origin{Exchange: out.Origin.Name, RoutingKey: out.Origin.Key, Queue: o.Queue}, &whole.event)
	if err != nil {
		out.ID, out.Malformed = identify(m, ours), fmt.Errorf("message is not an event: %w", err)
		return out
	}
	out.Event = e
	return out
}

func headersOnly(err error) bool {
	var e *message.HeadersError
	return errors.As(err, &e)
}

// DeadLetters is the exchange by which what a queue gives up comes to its dead-letter queue.
const DeadLetters = "warren.dead-letters"

// isOurs reports whether m came by Warren's own way, the default exchange, by which its
// copies go: its warren- headers are true. To those of a message that came by another
// exchange, anybody may have given any value. What the broker itself put into a queue came
// there by an exchange of dead letters, and says by which it came before.
func isOurs(m *message.Message) bool {
	d, dead := firstDeath(&m.Headers)
	switch m.Exchange {
	case "":
		return !dead || d.exchange == ""
	case DeadLetters:
		return dead && d.exchange == ""
	default:
		return false
	}
}

// decodeHop reads what Warren and the broker say of a message.
func decodeHop(out *queueing.Delivery, m *message.Message, o *queueing.ConsumeOptions, ours bool) {
	h := &m.Headers
	if n, ok := whole(h, PartitionHeader); ok && n >= 0 && n <= math.MaxUint32 {
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
			out.Origin.Name, out.Origin.Key = h.Text(originExchangeHeader), h.Text(originKeyHeader)
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
	if s == "" {
		return 0 // without an error, which would cost two allocations
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Millisecond //nolint:gosec // 32 bits
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
	s := t.Text(name)
	if s == "" {
		return 0 // without an error, as above
	}
	n, err := strconv.ParseInt(s, 10, 64)
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
		Origin:       broker.Origin{Name: t.Text(deadExchangeHeader), Key: t.Text(deadRoutingKeyHeader)},
		Attempts:     uint32(count(t, deadAttemptsHeader)),
		FirstFailure: moment(t, deadFirstFailureHeader),
		Time:         moment(t, deadTimeHeader),
		Cut:          t.Text(deadCutHeader),
	}
}
