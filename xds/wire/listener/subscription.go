package listener

import (
	"math"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire/field"
	"github.com/warrenmesh/warren/xds/wire/filter"
	"github.com/warrenmesh/warren/xds/wire/message"
)

const subscriptionListener = "warren.xds.v1.SubscriptionListener"

// maxPrefetch is AMQP's: basic.qos counts in 16 bits.
const maxPrefetch = math.MaxUint16

const maxPort = math.MaxUint16

var queueTypes = []string{"quorum", "classic"}

// EncodeSubscription returns the listener of a subscription.
func EncodeSubscription(name string, s *mesh.Subscription) (*listenerv3.Listener, error) {
	api, err := message.Pack(&xdsv1.SubscriptionListener{
		Topic:    s.Topic.String(),
		Cluster:  xds.BrokerResource(s.Broker),
		Exchange: field.EncodeExchange(s.Exchange),
		Queue: &xdsv1.Queue{
			Name: s.Queue.Name, Type: s.Queue.Type, Prefetch: s.Queue.Prefetch,
			PrefetchBytes: s.Queue.PrefetchBytes, MaxEventBytes: s.Queue.MaxEventBytes,
		},
		Filters:     filter.EncodeList(s.Filters),
		AckDeadline: durationpb.New(s.AckDeadline),
		Redelivery: &xdsv1.Redelivery{
			Attempts:     s.Attempts,
			BaseInterval: durationpb.New(s.Backoff.Base),
			MaxInterval:  durationpb.New(s.Backoff.Max),
			MaxElapsed:   field.OptionalDuration(s.MaxElapsed),
			Strategy:     xdsv1.RetryStrategy(s.Strategy),
		},
		DeadLetterQueue: s.DeadLetterQueue,
		PushPort:        s.PushPort,
		Ordering:        encodeOrder(s.Ordering),
		Partitions:      field.EncodePartitions(s.Partitions),
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

// IsSubscription reports whether a listener is a subscription's. Any other is a topic's.
func IsSubscription(l *listenerv3.Listener) bool {
	return message.Holds(l.GetApiListener().GetApiListener()) == subscriptionListener
}

// DecodeSubscription decodes the listener of a subscription into s, which must be zero.
func DecodeSubscription(l *listenerv3.Listener, s *mesh.Subscription) (err error) {
	if s.Name, err = xds.ParseSubscriptionResource(l.GetName()); err != nil {
		return field.Path("name").Errorf("%w", err)
	}
	if d := l.GetTrafficDirection(); d != corev3.TrafficDirection_INBOUND {
		return field.Path("traffic_direction").Errorf("%v is not supported on a subscription, want INBOUND", d)
	}
	at := field.Path("api_listener").Field("api_listener")
	var m xdsv1.SubscriptionListener
	if err := message.Unpack(at, l.GetApiListener().GetApiListener(), &m); err != nil {
		return err
	}
	return decodeMessage(at, &m, s)
}

func decodeMessage(p field.Path, m *xdsv1.SubscriptionListener, s *mesh.Subscription) (err error) {
	if s.Topic, err = mesh.ParseName(m.GetTopic(), ""); err != nil {
		return p.Field("topic").Errorf("%w", err)
	}
	if s.Broker, err = xds.ParseBrokerResource(m.GetCluster()); err != nil {
		return p.Field("cluster").Errorf("%w", err)
	}
	if s.Exchange, err = field.DecodeExchange(p.Field("exchange"), m.GetExchange()); err != nil {
		return err
	}
	if s.Queue, err = decodeQueue(p.Field("queue"), m.GetQueue()); err != nil {
		return err
	}
	if s.Filters, err = filter.DecodeList(p.Field("filters"), m.GetFilters()); err != nil {
		return err
	}
	if s.AckDeadline, err = field.DecodeDuration(p.Field("ack_deadline"), m.GetAckDeadline(), 1); err != nil {
		return err
	}
	if s.Attempts = m.GetRedelivery().GetAttempts(); s.Attempts == 0 {
		return p.Field("redelivery").Field("attempts").Errorf("is 0, want at least 1")
	}
	if s.Backoff, err = decodeRedelivery(p.Field("redelivery"), m.GetRedelivery()); err != nil {
		return err
	}
	if s.Strategy, err = decodeStrategy(p, m); err != nil {
		return err
	}
	if s.PushPort = m.GetPushPort(); s.PushPort > maxPort {
		return p.Field("push_port").Errorf("is %d, want 1 to %d, or 0 for none", s.PushPort, maxPort)
	}
	s.DeadLetterQueue, s.MaxDecoded = m.GetDeadLetterQueue(), m.GetMaxDecodedBytes()
	if err := field.CheckAMQPName(p.Field("dead_letter_queue"), s.DeadLetterQueue); err != nil {
		return err
	}
	if s.Dedupe, err = decodeDedupe(p.Field("dedupe"), m.GetDedupe()); err != nil {
		return err
	}
	if err := decodeOrdering(p, m, s); err != nil {
		return err
	}
	return checkDerived(p.Field("queue").Field("name"), s)
}

// checkDerived refuses a queue name that is too long for the names derived from it.
func checkDerived(p field.Path, s *mesh.Subscription) error {
	names := []string{s.Queue.DeadLetters()}
	for _, d := range s.Delays() {
		names = append(names, s.Queue.Delay(d))
	}
	for _, name := range names {
		if len(name) > mesh.MaxAMQPName {
			return p.Errorf("has %d bytes, and a queue named after it, with %q at the end, would have %d: AMQP allows %d", len(s.Queue.Name), name[len(s.Queue.Name):], len(name), mesh.MaxAMQPName)
		}
	}
	return nil
}

func decodeQueue(p field.Path, q *xdsv1.Queue) (mesh.Queue, error) {
	if err := field.CheckAMQPName(p.Field("name"), q.GetName()); err != nil {
		return mesh.Queue{}, err
	}
	if err := field.CheckOneOf(p.Field("type"), q.GetType(), queueTypes); err != nil {
		return mesh.Queue{}, err
	}
	if n := q.GetPrefetch(); n == 0 || n > maxPrefetch {
		return mesh.Queue{}, p.Field("prefetch").Errorf("is %d, want 1 to %d", n, maxPrefetch)
	}
	if (q.GetPrefetchBytes() == 0) != (q.GetMaxEventBytes() == 0) {
		return mesh.Queue{}, p.Field("prefetch_bytes").Errorf("is %d with a max_event_bytes of %d: want both or neither", q.GetPrefetchBytes(), q.GetMaxEventBytes())
	}
	return mesh.Queue{
		Name: q.GetName(), Type: q.GetType(), Prefetch: q.GetPrefetch(),
		PrefetchBytes: q.GetPrefetchBytes(), MaxEventBytes: q.GetMaxEventBytes(),
	}, nil
}

// decodeStrategy refuses a strategy that would have no effect.
func decodeStrategy(p field.Path, m *xdsv1.SubscriptionListener) (mesh.RetryStrategy, error) {
	at := p.Field("redelivery").Field("strategy")
	switch s := m.GetRedelivery().GetStrategy(); {
	case s == xdsv1.RetryStrategy_RETRY_STRATEGY_UNSPECIFIED:
		return mesh.DelayQueues, nil
	case s != xdsv1.RetryStrategy_RETRY_STRATEGY_BROKER_DELAY:
		return 0, at.Errorf("%v is not supported", s)
	case m.GetOrdering() != xdsv1.Ordering_ORDERING_UNSPECIFIED:
		return 0, at.Errorf("%v is not supported with order", s)
	case m.GetRedelivery().GetBaseInterval().AsDuration() <= 0:
		return 0, p.Field("redelivery").Field("base_interval").Errorf("is required with %v", s)
	default:
		return mesh.BrokerDelay, nil
	}
}

// decodeRedelivery allows no delay at all: a failed delivery is then repeated at
// once.
func decodeRedelivery(p field.Path, r *xdsv1.Redelivery) (mesh.Backoff, error) {
	if r.GetBaseInterval().AsDuration() == 0 && r.GetMaxInterval().AsDuration() == 0 {
		return mesh.Backoff{}, nil
	}
	return field.DecodeIntervals(p, r.GetBaseInterval(), r.GetMaxInterval())
}
