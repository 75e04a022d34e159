package publish

import (
	"errors"
	"fmt"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/balance"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/publish/passage"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
)

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
		To:    b.Destination,
		Key:   key,
		Event: e,
		AppID: s.opts.Workload,
	}
	if !s.sender.Live(b, m) {
		return nil, passage.Expired()
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
