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

// keyPolicies are the key policies by the names of the kind.
var keyPolicies = map[string]mesh.KeyPolicy{v1alpha1.KeyContinue: mesh.Continue, v1alpha1.KeyHold: mesh.Hold}

// orderable refuses PerKey where order could not be kept.
func (r *resolver) orderable(o *declare.Object, s *v1alpha1.EventSubscriptionSpec, d mesh.Destination) {
	refuse := func(path v1alpha1.Path, format string, args ...any) {
		r.problem(o, path, v1alpha1.Invalid, fmt.Sprintf(format, args...))
	}
	ordering := v1alpha1.Path("spec").Child("ordering")
	if d.Partitions == (mesh.Partitions{}) {
		refuse(ordering, "is PerKey, but EventTopic %s has no partitions, and only they have an order: set ordering None, or declare a topic with partitions, such as {count: 8}, and subscribe to that", d.Topic)
	}
	if b := r.result.Config.Brokers[d.Broker]; b.Topology != mesh.Manage {
		refuse(ordering, "is PerKey, which needs queues that hand events to one consumer at a time, but broker %s has topology %s: whether queues that others declare do that cannot be asked by AMQP, and order would be lost unseen; set ordering None, or topology Manage on the broker", d.Broker, b.Topology)
	}
	if n := len(s.Queue.Name); n > mesh.MaxPartitionedQueue {
		refuse(v1alpha1.Path("spec").Child("queue").Child("name"), "has %d bytes, but with ordering PerKey the queues of the partitions are named after it: want at most %d", n, mesh.MaxPartitionedQueue)
	}
}

func dedupe(d *v1alpha1.Dedupe) mesh.Dedupe {
	if d == nil {
		return mesh.Dedupe{}
	}
	return mesh.Dedupe{Window: duration(d.Window), MaxEntries: countOf(d.MaxEntries)}
}
