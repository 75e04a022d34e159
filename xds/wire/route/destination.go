package route

import (
	"fmt"
	"time"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/field"
)

const maxPriority = 9

// decodeDestination decodes all of a destination but its broker.
func decodeDestination(p field.Path, r *xdsv1.AmqpRoute) (mesh.Destination, error) {
	d := mesh.Destination{
		RoutingKey:    mesh.Template(r.GetRoutingKey()),
		Mandatory:     r.GetMandatory(),
		Persistent:    r.GetPersistent(),
		Priority:      uint8(min(r.GetPriority(), maxPriority)),
		MaxEventBytes: r.GetMaxEventBytes(),
		Headers:       mesh.NewHeaderList(r.GetHeaders()),
	}
	var err error
	if d.Topic, err = mesh.ParseName(r.GetTopic(), ""); err != nil {
		return d, p.Field("topic").Errorf("%w", err)
	}
	if d.Exchange, err = field.DecodeExchange(p.Field("exchange"), r.GetExchange()); err != nil {
		return d, err
	}
	if err := checkTemplate(d.RoutingKey); err != nil {
		return d, p.Field("routing_key").Errorf("%w", err)
	}
	if d.ConfirmTimeout, err = field.DecodeDuration(p.Field("confirm_timeout"), r.GetConfirmTimeout(), 1); err != nil {
		return d, err
	}
	// The broker counts the expiration in milliseconds.
	if d.TTL, err = field.DecodeOptional(p.Field("ttl"), r.GetTtl(), time.Millisecond); err != nil {
		return d, err
	}
	if r.GetPriority() > maxPriority {
		return d, p.Field("priority").Errorf("%d is more than %d", r.GetPriority(), maxPriority)
	}
	if d.MaxEventBytes == 0 {
		return d, p.Field("max_event_bytes").Errorf("is required")
	}
	for i, entry := range r.GetHeaders() {
		if err := mesh.CheckHeader(entry); err != nil {
			return d, p.Field("headers").Index(i).Errorf("%w", err)
		}
	}
	d.Partitions, err = field.DecodePartitions(p.Field("partitions"), r.GetPartitions())
	return d, err
}

// checkTemplate refuses what could never be a routing key.
func checkTemplate(t mesh.Template) error {
	segments, err := t.Segments()
	if err != nil {
		return err
	}
	fixed := 0
	for _, s := range segments {
		fixed += len(s.Literal)
	}
	if fixed > mesh.MaxRoutingKey {
		return fmt.Errorf("template: its literal text has %d bytes, a routing key at most %d", fixed, mesh.MaxRoutingKey)
	}
	return nil
}
