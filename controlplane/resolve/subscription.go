package resolve

import (
	"fmt"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
)

func (r *resolver) subscriptions() {
	each(r, func(o *declare.Object, s *v1alpha1.EventSubscription) {
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

// pushPort is the port on which the service is called; 0 when it pulls.
func pushPort(d *v1alpha1.Delivery) uint32 {
	if d == nil || d.Push == nil {
		return 0
	}
	return uint32(d.Push.Port) //nolint:gosec // validated
}

func (r *resolver) subscription(o *declare.Object, s *v1alpha1.EventSubscription, d mesh.Destination) *mesh.Subscription {
	spec := &s.Spec
	out := &mesh.Subscription{
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
		Dedupe:          dedupe(spec.Dedupe),
	}
	if bound := spec.Queue.PrefetchBytes; bound != nil {
		out.Queue.PrefetchBytes, out.Queue.MaxEventBytes = uint64(max(0, *bound)), d.MaxEventBytes
	}
	if spec.ContentEncoding == v1alpha1.EncodingDecode {
		out.MaxDecoded = d.MaxEventBytes
	}
	if spec.Retry.Strategy == v1alpha1.RetryBrokerDelay {
		out.Strategy = mesh.BrokerDelay
		r.delayable(o, out)
	}
	if spec.Ordering == v1alpha1.OrderingPerKey {
		r.orderable(o, spec, d)
		out.Ordering, out.Partitions = mesh.PerKey, d.Partitions
		out.MaxElapsed, out.KeyPolicy = duration(spec.Retry.MaxElapsed), keyPolicies[spec.DeadLetter.KeyPolicy]
	}
	return out
}

// delayable refuses BrokerDelay where the broker would not delay retries. Whether the
// server is new enough is checked by the sidecar.
func (r *resolver) delayable(o *declare.Object, s *mesh.Subscription) {
	path := v1alpha1.Path("spec").Child("retry").Child("strategy")
	b := r.result.Config.Brokers[s.Broker]
	switch {
	case b.Topology != mesh.Manage:
		r.problem(o, path, v1alpha1.Invalid, fmt.Sprintf("is BrokerDelay, which is an argument of the queue, but broker %s has topology %s: whether queues that others declare have it cannot be asked by AMQP; set strategy DelayQueues, or topology Manage on the broker", b.Name, b.Topology))
	case b.Type.Capabilities().QuorumQueue && s.Queue.Type != v1alpha1.QueueQuorum:
		r.problem(o, path, v1alpha1.Invalid, fmt.Sprintf("is BrokerDelay, which needs a quorum queue, and the queue is of type %s: set strategy DelayQueues or queue type quorum", s.Queue.Type))
	}
}

// bindable refuses a queue that a sidecar would have to bind to a direct exchange:
// AMQP has no binding for all of its events.
func (r *resolver) bindable(o *declare.Object, d mesh.Destination) {
	if d.Exchange.Type != "direct" || r.result.Config.Brokers[d.Broker].Topology != mesh.Manage {
		return
	}
	r.problem(o, v1alpha1.Path("spec").Child("topicRef"), v1alpha1.Invalid, fmt.Sprintf(
		"EventTopic %s has an exchange of type direct, which has no binding for all of its events: give it type topic or fanout, or bind the queue yourself and set topology Verify on broker %s", d.Topic, d.Broker))
}
