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
}

// Subscriptions compiles those of a configuration.
func Subscriptions(cfg *mesh.Config) map[mesh.Name]*Subscription {
	out := make(map[mesh.Name]*Subscription, len(cfg.Subscriptions))
	for name, s := range cfg.Subscriptions {
		out[name] = &Subscription{
			Largest: largestOf(cfg, s), Subscription: s, Filter: route.CompileFilters(s.Filters),
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
