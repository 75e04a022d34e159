package resolve

import (
	"fmt"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/mesh"
	"github.com/warrenmesh/warren/xds/source"
)

func (r *resolver) subscriptions() {
	each(r, func(o *source.Object, s *v1alpha1.EventSubscription) {
		name := nameOf(s)
		resource := xds.SubscriptionResource(name)
		r.concern(o.Name(), xds.TypeListener, resource)
		ref := s.Spec.TopicRef
		topic, found := r.reference(o, v1alpha1.Path("spec").Child("topicRef"), v1alpha1.KindEventTopic, ref.Namespace, ref.Name)
		if !found {
			return
		}
		r.concern(objectName(v1alpha1.KindEventTopic, topic), xds.TypeListener, resource)
		d, found := r.destinations[topic]
		if !found {
			return // the topic's own reference dangles, and is reported
		}
		r.bindable(o, d)
		// Validate reports a selector that does not compile.
		matches, err := v1alpha1.SelectorMatches(s.Spec.Selector)
		if err != nil {
			return
		}
		r.result.Selectors[name] = matches
		r.result.Config.Subscriptions[name] = r.subscription(o, s, d)
	})
}

// pushPort is where the service wants to be called; 0 when it pulls.
func pushPort(d *v1alpha1.Delivery) uint32 {
	if d == nil || d.Push == nil {
		return 0
	}
	return uint32(d.Push.Port) //nolint:gosec // validated
}

func (r *resolver) subscription(o *source.Object, s *v1alpha1.EventSubscription, d mesh.Destination) *mesh.Subscription {
	spec := &s.Spec
	return &mesh.Subscription{
		Name:     nameOf(s),
		Topic:    d.Topic,
		Broker:   d.Broker,
		Exchange: d.Exchange,
		Queue: mesh.Queue{
			Name:     spec.Queue.Name,
			Type:     r.queueType(o, spec.Queue.Type, r.result.Config.Brokers[d.Broker]),
			Prefetch: countOf(spec.Queue.Prefetch),
		},
		Filters:         filters(spec.Filters),
		AckDeadline:     duration(spec.AckDeadline),
		Attempts:        countOf(spec.Retry.Attempts),
		Backoff:         backoff(spec.Retry.Backoff),
		DeadLetterQueue: spec.DeadLetter.Queue,
		PushPort:        pushPort(spec.Delivery),
	}
}

// bindable refuses a queue that a sidecar would have to bind to a direct exchange:
// AMQP has no binding for all of its events.
func (r *resolver) bindable(o *source.Object, d mesh.Destination) {
	if d.Exchange.Type != "direct" || r.result.Config.Brokers[d.Broker].Topology != mesh.Manage {
		return
	}
	r.problem(o, v1alpha1.Path("spec").Child("topicRef"), v1alpha1.Invalid, fmt.Sprintf(
		"EventTopic %s has an exchange of type direct, which has no binding for all of its events: give it type topic or fanout, or bind the queue yourself and set topology Verify on broker %s", d.Topic, d.Broker))
}

// queueType fills in the default: quorum where the broker has such queues.
func (r *resolver) queueType(o *source.Object, declared string, b *mesh.Broker) string {
	quorum := b.Type.Capabilities().QuorumQueue
	switch {
	case declared == v1alpha1.QueueQuorum && !quorum:
		r.refuse(o, v1alpha1.Path("spec").Child("queue").Child("type"), b, "a quorum queue", "remove it")
		return declared
	case declared != "":
		return declared
	case quorum:
		return v1alpha1.QueueQuorum
	default:
		return v1alpha1.QueueClassic
	}
}

// queueKey is a queue on a broker.
type queueKey struct {
	broker mesh.Name
	queue  string
}

// queues refuses a queue that two subscriptions own, each would get only part of
// its events, and dead letters in a queue that a subscription owns. Several
// subscriptions may share one queue of dead letters.
func (r *resolver) queues() {
	owners := map[queueKey]*source.Object{}
	each(r, func(o *source.Object, s *v1alpha1.EventSubscription) {
		sub, ok := r.result.Config.Subscriptions[nameOf(s)]
		if !ok {
			return
		}
		k := queueKey{sub.Broker, sub.Queue.Name}
		if owner, taken := owners[k]; taken {
			r.taken(o, v1alpha1.Path("spec").Child("queue").Child("name"), k, owner, "give one of the two another queue, or each would get only part of its events")
			return
		}
		owners[k] = o
	})
	each(r, func(o *source.Object, s *v1alpha1.EventSubscription) {
		sub, ok := r.result.Config.Subscriptions[nameOf(s)]
		if !ok {
			return
		}
		k := queueKey{sub.Broker, sub.DeadLetterQueue}
		if owner, taken := owners[k]; taken && owner != o { // its own: Validate reports that
			r.taken(o, v1alpha1.Path("spec").Child("deadLetter").Child("queue"), k, owner, "send dead letters to a queue of their own")
		}
	})
}

func (r *resolver) taken(o *source.Object, path v1alpha1.Path, k queueKey, owner *source.Object, advice string) {
	r.problem(o, path, v1alpha1.Conflict, fmt.Sprintf("queue %q on broker %s belongs to %s%s: %s", k.queue, k.broker, owner.Name(), place(owner), advice))
}
