package wire

import (
	"math"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
)

const subscriptionListener = "warren.xds.v1.SubscriptionListener"

// maxPrefetch is AMQP's: basic.qos counts in 16 bits.
const maxPrefetch = math.MaxUint16

const maxPort = math.MaxUint16

var queueTypes = []string{"quorum", "classic"}

func subscriptionListenerOf(name string, s *mesh.Subscription) (*listenerv3.Listener, error) {
	api, err := toAny(&xdsv1.SubscriptionListener{
		Topic:    s.Topic.String(),
		Cluster:  xds.BrokerResource(s.Broker),
		Exchange: encodeExchange(s.Exchange),
		Queue: &xdsv1.Queue{
			Name: s.Queue.Name, Type: s.Queue.Type, Prefetch: s.Queue.Prefetch,
			PrefetchBytes: s.Queue.PrefetchBytes, MaxEventBytes: s.Queue.MaxEventBytes,
		},
		Filters:     encodeFilters(s.Filters),
		AckDeadline: durationpb.New(s.AckDeadline),
		Redelivery: &xdsv1.Redelivery{
			Attempts:     s.Attempts,
			BaseInterval: durationpb.New(s.Backoff.Base),
			MaxInterval:  durationpb.New(s.Backoff.Max),
			MaxElapsed:   optionalDuration(s.MaxElapsed),
			Strategy:     xdsv1.RetryStrategy(s.Strategy),
		},
		DeadLetterQueue: s.DeadLetterQueue,
		PushPort:        s.PushPort,
		Ordering:        encodeOrder(s.Ordering),
		Partitions:      encodePartitions(s.Partitions),
		KeyPolicy:       encodeKeyPolicy(s.KeyPolicy),
		Dedupe:          encodeDedupe(s.Dedupe),
		MaxDecodedBytes: s.MaxDecoded,
	})
	if err != nil {
		return nil, err
	}
	return &listenerv3.Listener{
		Name:             name,
		TrafficDirection: corev3.TrafficDirection_INBOUND,
		ApiListener:      &listenerv3.ApiListener{ApiListener: api},
	}, nil
}

func decodeSubscription(l *listenerv3.Listener) (*Subscription, error) {
	name, err := xds.ParseSubscriptionResource(l.GetName())
	if err != nil {
		return nil, path("name").errorf("%w", err)
	}
	if d := l.GetTrafficDirection(); d != corev3.TrafficDirection_INBOUND {
		return nil, path("traffic_direction").errorf("%v is not supported on a subscription, want INBOUND", d)
	}
	at := path("api_listener").field("api_listener")
	var m xdsv1.SubscriptionListener
	if err := unpack(at, l.GetApiListener().GetApiListener(), &m); err != nil {
		return nil, err
	}
	out := &Subscription{mesh.Subscription{Name: name}}
	return out, decodeSubscriptionListener(at, &m, &out.Subscription)
}

func decodeSubscriptionListener(p path, m *xdsv1.SubscriptionListener, s *mesh.Subscription) (err error) {
	if s.Topic, err = mesh.ParseName(m.GetTopic(), ""); err != nil {
		return p.field("topic").errorf("%w", err)
	}
	if s.Broker, err = xds.ParseBrokerResource(m.GetCluster()); err != nil {
		return p.field("cluster").errorf("%w", err)
	}
	if s.Exchange, err = decodeExchange(p.field("exchange"), m.GetExchange()); err != nil {
		return err
	}
	if s.Queue, err = decodeQueue(p.field("queue"), m.GetQueue()); err != nil {
		return err
	}
	if s.Filters, err = decodeFilters(p.field("filters"), m.GetFilters(), maxDepth); err != nil {
		return err
	}
	if s.AckDeadline, err = decodeDuration(p.field("ack_deadline"), m.GetAckDeadline(), 1); err != nil {
		return err
	}
	if s.Attempts = m.GetRedelivery().GetAttempts(); s.Attempts == 0 {
		return p.field("redelivery").field("attempts").errorf("is 0, want at least 1")
	}
	if s.Backoff, err = decodeRedelivery(p.field("redelivery"), m.GetRedelivery()); err != nil {
		return err
	}
	if s.Strategy, err = decodeStrategy(p, m); err != nil {
		return err
	}
	if s.PushPort = m.GetPushPort(); s.PushPort > maxPort {
		return p.field("push_port").errorf("is %d, want 1 to %d, or 0 for none", s.PushPort, maxPort)
	}
	s.DeadLetterQueue, s.MaxDecoded = m.GetDeadLetterQueue(), m.GetMaxDecodedBytes()
	if err := checkAMQPName(p.field("dead_letter_queue"), s.DeadLetterQueue); err != nil {
		return err
	}
	if s.Dedupe, err = decodeDedupe(p.field("dedupe"), m.GetDedupe()); err != nil {
		return err
	}
	if err := decodeOrdering(p, m, s); err != nil {
		return err
	}
	return checkDerived(p.field("queue").field("name"), s)
}

// checkDerived refuses a queue name that is too long for the names derived from it.
func checkDerived(p path, s *mesh.Subscription) error {
	names := []string{s.Queue.DeadLetters()}
	for _, d := range s.Delays() {
		names = append(names, s.Queue.Delay(d))
	}
	for _, name := range names {
		if len(name) > mesh.MaxAMQPName {
			return p.errorf("has %d bytes, and a queue named after it, with %q at the end, would have %d: AMQP allows %d", len(s.Queue.Name), name[len(s.Queue.Name):], len(name), mesh.MaxAMQPName)
		}
	}
	return nil
}

func decodeQueue(p path, q *xdsv1.Queue) (mesh.Queue, error) {
	if err := checkAMQPName(p.field("name"), q.GetName()); err != nil {
		return mesh.Queue{}, err
	}
	if err := checkOneOf(p.field("type"), q.GetType(), queueTypes); err != nil {
		return mesh.Queue{}, err
	}
	if n := q.GetPrefetch(); n == 0 || n > maxPrefetch {
		return mesh.Queue{}, p.field("prefetch").errorf("is %d, want 1 to %d", n, maxPrefetch)
	}
	if (q.GetPrefetchBytes() == 0) != (q.GetMaxEventBytes() == 0) {
		return mesh.Queue{}, p.field("prefetch_bytes").errorf("is %d with a max_event_bytes of %d: want both or neither", q.GetPrefetchBytes(), q.GetMaxEventBytes())
	}
	return mesh.Queue{
		Name: q.GetName(), Type: q.GetType(), Prefetch: q.GetPrefetch(),
		PrefetchBytes: q.GetPrefetchBytes(), MaxEventBytes: q.GetMaxEventBytes(),
	}, nil
}

// decodeStrategy refuses a strategy that would have no effect.
func decodeStrategy(p path, m *xdsv1.SubscriptionListener) (mesh.RetryStrategy, error) {
	at := p.field("redelivery").field("strategy")
	switch s := m.GetRedelivery().GetStrategy(); {
	case s == xdsv1.RetryStrategy_RETRY_STRATEGY_UNSPECIFIED:
		return mesh.DelayQueues, nil
	case s != xdsv1.RetryStrategy_RETRY_STRATEGY_BROKER_DELAY:
		return 0, at.errorf("%v is not supported", s)
	case m.GetOrdering() != xdsv1.Ordering_ORDERING_UNSPECIFIED:
		return 0, at.errorf("%v is not supported with order", s)
	case m.GetRedelivery().GetBaseInterval().AsDuration() <= 0:
		return 0, p.field("redelivery").field("base_interval").errorf("is required with %v", s)
	default:
		return mesh.BrokerDelay, nil
	}
}

// decodeRedelivery allows no delay at all: a failed delivery is then repeated at
// once.
func decodeRedelivery(p path, r *xdsv1.Redelivery) (mesh.Backoff, error) {
	if r.GetBaseInterval().AsDuration() == 0 && r.GetMaxInterval().AsDuration() == 0 {
		return mesh.Backoff{}, nil
	}
	return decodeIntervals(p, r.GetBaseInterval(), r.GetMaxInterval())
}
