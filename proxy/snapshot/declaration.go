package snapshot

import (
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/xds"
)

// declarations lists what must exist on each broker before it is used.
func declarations(cfg *mesh.Config, layout func(*mesh.Subscription, mesh.TopologyPolicy) broker.Topology) map[mesh.Name][]pool.Declaration {
	out := map[mesh.Name][]pool.Declaration{}
	policy := func(name mesh.Name) mesh.TopologyPolicy {
		if b, ok := cfg.Brokers[name]; ok {
			return b.Topology
		}
		return mesh.Manage
	}
	for _, s := range cfg.Subscriptions {
		out[s.Broker] = append(out[s.Broker], pool.Declaration{
			Key: xds.SubscriptionResource(s.Name), Topology: layout(s, policy(s.Broker)),
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
					Key:      xds.TopicResource(d.Topic),
					Topology: broker.Topology{Policy: policy(d.Broker), Exchanges: []mesh.Exchange{d.Exchange}},
				})
			}
		}
	}
	return out
}
