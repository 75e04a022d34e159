package resolve

import (
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
)

// topics finds where each topic's events are put. Rules come later, with routes.
func (r *resolver) topics() {
	each(r, func(o *declare.Object, t *v1alpha1.EventTopic) {
		name := nameOf(t)
		r.result.Config.Topics[name] = &mesh.Topic{Name: name}
		r.concern(o.Name(), xds.TypeListener, xds.TopicResource(name))
		r.concern(o.Name(), xds.TypeRoute, xds.TopicResource(name))
		ref := t.Spec.BrokerRef
		brokerName, found := r.reference(o, v1alpha1.Path("spec").Child("brokerRef"), v1alpha1.KindEventBroker, ref.Namespace, ref.Name)
		if !found {
			return
		}
		r.destinations[name] = r.destination(o, t, r.result.Config.Brokers[brokerName])
	})
}

func (r *resolver) destination(o *declare.Object, t *v1alpha1.EventTopic, b *mesh.Broker) mesh.Destination {
	s, p := &t.Spec, t.Spec.Publish
	able := b.Type.Capabilities()
	path := v1alpha1.Path("spec").Child("publish")
	if p.TTL != nil && !able.Expiration {
		r.refuse(o, path.Child("ttl"), b, "expiration of messages", "remove it")
	}
	if p.Priority != 0 && !able.Priorities {
		r.refuse(o, path.Child("priority"), b, "message priorities", "remove it")
	}
	if p.Persistent != nil && *p.Persistent && !able.Durable {
		r.refuse(o, path.Child("persistent"), b, "events that survive a restart", "remove it or set it to false")
	}
	if s.Exchange.Type == "headers" && !able.Headers {
		r.refuse(o, v1alpha1.Path("spec").Child("exchange").Child("type"), b, "an exchange of type headers", "want topic, direct or fanout")
	}
	if s.Partitions != nil && !able.Partitions {
		r.refuse(o, v1alpha1.Path("spec").Child("partitions"), b, "partitions", "remove them")
	}
	d := mesh.Destination{
		Topic:          nameOf(t),
		Broker:         b.Name,
		Exchange:       mesh.Exchange{Name: s.Exchange.Name, Type: s.Exchange.Type},
		RoutingKey:     mesh.Template(s.RoutingKey),
		Mandatory:      *p.Mandatory,
		Persistent:     able.Durable,
		ConfirmTimeout: duration(p.ConfirmTimeout),
		TTL:            duration(p.TTL),
		Priority:       uint8(min(count(p.Priority), 9)),
		MaxEventBytes:  countOf(p.MaxEventBytes),
		Partitions:     partitions(s.Partitions),
		Headers:        mesh.NewHeaderList(p.Headers),
	}
	if p.Persistent != nil {
		d.Persistent = *p.Persistent
	}
	return d
}

func partitions(p *v1alpha1.Partitions) mesh.Partitions {
	if p == nil {
		return mesh.Partitions{}
	}
	// Validate refuses more; here they are counted through.
	return mesh.Partitions{Count: min(count(p.Count), v1alpha1.MaxPartitions), Key: p.Key}
}
