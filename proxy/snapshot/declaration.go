package snapshot

import (
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/xds"
)

// declarations lists what must exist on each broker before it is used.
func declarations(cfg *mesh.Config) map[mesh.Name][]pool.Declaration {
	out := map[mesh.Name][]pool.Declaration{}
	policy := func(name mesh.Name) mesh.TopologyPolicy {
		if b, ok := cfg.Brokers[name]; ok {
			return b.Topology
		}
		return mesh.Manage
	}
	for _, s := range cfg.Subscriptions {
		out[s.Broker] = append(out[s.Broker], pool.Declaration{
			Key: xds.SubscriptionResource(s.Name), Object: broker.Object{Subscription: s, Policy: policy(s.Broker)},
		})
	}
	seen := map[mesh.Name]bool{}
	for _, t := range cfg.Topics {
		for i := range t.Rules {
			for j := range t.Rules[i].Backends {
				d := &t.Rules[i].Backends[j].Destination
				if seen[d.Topic] {
					continue
				}
				seen[d.Topic] = true
				out[d.Broker] = append(out[d.Broker], pool.Declaration{
					Key:    xds.TopicResource(d.Topic),
					Object: broker.Object{Topic: d, Policy: policy(d.Broker)},
				})
			}
		}
	}
	return out
}
