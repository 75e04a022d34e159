package passage

import (
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
)

// Live stamps m with how long it may live, in queues and between retries: from this try on
// for the topic's TTL, and not beyond its event's expirytime. It returns false when that
// has passed.
func (s *Sender) Live(b *route.Backend, m *broker.Message) bool {
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

// Expired is the refusal of an event that Live says has no life left.
func Expired() error {
	return refusal.Field(refusal.EventExpired, "event."+event.AttrExpiryTime, "is in the past; the event was not sent")
}
