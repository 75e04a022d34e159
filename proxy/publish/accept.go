package publish

import (
	"errors"
	"fmt"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/balance"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
)

// live stamps m with how long it may live, in queues and between retries: from this try on
// for the topic's TTL, and not beyond its event's expirytime. It returns false when that
// has passed.
func (s *Service) live(b *route.Backend, m *broker.Message) bool {
	expiry, ok := m.Event.Lookup(event.AttrExpiryTime)
	ok = ok && expiry.Kind() == event.KindTimestamp // an empty one is none
	if !ok && b.TTL == 0 {
		return true
	}
	now := s.opts.Now()
	m.Expires = now.Add(b.TTL)
	if ok && (b.TTL == 0 || expiry.Time().Before(m.Expires)) {
		m.Expires = expiry.Time()
	}
	m.TTL = m.Expires.Sub(now)
	return m.TTL > 0
}

func expired() error {
	return refusal.Field(refusal.EventExpired, "event."+event.AttrExpiryTime, "is in the past; the event was not sent")
}

// Invalid names the field of an event that cannot be one; doors answer with it what they
// cannot decode.
func Invalid(err error) error {
	var fe *event.FieldError
	if !errors.As(err, &fe) {
		return refusal.Field(refusal.InvalidEvent, "event", err.Error())
	}
	if fe.Field == "event" {
		return refusal.Field(refusal.InvalidEvent, "event", fe.Reason)
	}
	return refusal.Field(refusal.InvalidEvent, "event."+refusal.Clip(fe.Field), fe.Reason)
}

// message addresses e to a backend; everything that can be refused without the
// broker is refused here.
func (s *Service) message(b *route.Backend, e *event.Event, beside *Submission) (*broker.Message, error) {
	if len(e.Data) > int(b.MaxEventBytes) {
		return nil, refusal.Field(refusal.EventTooLarge, "event.data",
			fmt.Sprintf("has %d bytes; topic %s takes at most %d", len(e.Data), b.Topic, b.MaxEventBytes))
	}
	key := b.RoutingKey(e)
	if len(key) > mesh.MaxRoutingKey {
		return nil, refusal.Field(refusal.InvalidEvent, "event",
			fmt.Sprintf("its routing key by template %q has %d bytes; AMQP allows %d", b.Destination.RoutingKey, len(key), mesh.MaxRoutingKey))
	}
	m := &broker.Message{
		Exchange:   b.Exchange.Name,
		RoutingKey: key,
		Event:      e,
		Mandatory:  b.Mandatory,
		Persistent: b.Persistent,
		Priority:   b.Priority,
		AppID:      s.opts.Workload,
	}
	if !s.live(b, m) {
		return nil, expired()
	}
	m.Partition, m.Partitioned = partition(b, e)
	if err := beside.addTo(m, b); err != nil {
		return nil, err
	}
	return m, nil
}

// partition returns the partition e belongs to, and whether there are any. An event
// without a key has no order: its identity spreads such events evenly.
func partition(b *route.Backend, e *event.Event) (uint32, bool) {
	count := b.Partitions.Count
	if count == 0 {
		return 0, false
	}
	if key := b.Key(e); key != "" {
		return balance.Partition(key, count), true
	}
	return uint32(identity(e) % uint64(count)), true //nolint:gosec // less than count
}
