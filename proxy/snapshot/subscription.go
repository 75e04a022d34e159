package snapshot

import (
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/route"
)

// Subscription is a compiled subscription.
type Subscription struct {
	*mesh.Subscription
	Filter route.Filter
	// FullName and TopicName are "namespace/name" of the subscription and its topic,
	// and System is what its broker is to telemetry.
	FullName  string
	TopicName string
	System    string
	// Largest is the most data that an event of its topic has, 0 if that is not known.
	Largest uint32

	// topics are the topics of other exchanges on its broker, as far as they are known.
	topics map[string]string
}

// TopicBehind names the topic of what was published to exchange: another one's if it is
// the exchange of that one, as after the subscription has moved.
func (s *Subscription) TopicBehind(exchange string) string {
	if exchange == s.Exchange.Name {
		return s.TopicName
	}
	if other, ok := s.topics[exchange]; ok {
		return other
	}
	return s.TopicName
}

// Subscriptions compiles those of a configuration. before are those of the one in
// force until now, nil for none: what they say of a topic that is not part of cfg any
// more is kept, for its events may still be in the queues.
func Subscriptions(cfg *mesh.Config, before map[mesh.Name]*Subscription) map[mesh.Name]*Subscription {
	topics := topicsOf(cfg, before)
	out := make(map[mesh.Name]*Subscription, len(cfg.Subscriptions))
	for name, s := range cfg.Subscriptions {
		out[name] = &Subscription{
			topics: topics[s.Broker], Largest: largestOf(cfg, s),
			Subscription: s, Filter: route.CompileFilters(s.Filters),
			FullName: s.Name.String(), TopicName: s.Topic.String(), System: route.System(cfg, s.Broker),
		}
	}
	return out
}

// largestOf returns the most data that an event of the subscription's topic has, as far as
// that is known here: it comes with the subscription only where its prefetch is bounded by
// bytes, and with the topic only where that is used.
func largestOf(cfg *mesh.Config, s *mesh.Subscription) uint32 {
	most := s.Queue.MaxEventBytes
	for _, t := range cfg.Topics {
		for i := range t.Rules {
			for j := range t.Rules[i].Backends {
				if d := &t.Rules[i].Backends[j].Destination; d.Topic == s.Topic {
					most = max(most, d.MaxEventBytes)
				}
			}
		}
	}
	return most
}

// maxTopics bounds the exchanges of a broker whose topics are remembered.
const maxTopics = 10_000

// topicsOf names the topics of exchanges, by broker.
func topicsOf(cfg *mesh.Config, before map[mesh.Name]*Subscription) map[mesh.Name]map[string]string {
	out := map[mesh.Name]map[string]string{}
	add := func(b mesh.Name, exchange, topic string) {
		if out[b] == nil {
			out[b] = map[string]string{}
		}
		// Two topics may share an exchange: the same one is named each time.
		if had, ok := out[b][exchange]; (!ok && len(out[b]) < maxTopics) || (ok && topic < had) {
			out[b][exchange] = topic
		}
	}
	for _, s := range cfg.Subscriptions {
		add(s.Broker, s.Exchange.Name, s.Topic.String())
	}
	for _, t := range cfg.Topics {
		for i := range t.Rules {
			for j := range t.Rules[i].Backends {
				d := &t.Rules[i].Backends[j].Destination
				add(d.Broker, d.Exchange.Name, d.Topic.String())
			}
		}
	}
	for _, s := range before {
		for exchange, topic := range s.topics {
			if _, known := out[s.Broker][exchange]; !known {
				add(s.Broker, exchange, topic)
			}
		}
	}
	return out
}
