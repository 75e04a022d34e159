package proxy

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/pool"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client"
)

// compiled is the configuration in force, immutable and swapped as a whole.
type compiled struct {
	version       string
	at            time.Time
	mesh          *mesh.Config
	table         *route.Table
	subscriptions map[mesh.Name]*deliver.Subscription
	superseded    chan struct{} // closed when a newer one is in force
}

// configuration finds topics and subscriptions for publish and deliver. The zero
// value is not ready: nothing has arrived yet.
type configuration struct {
	current atomic.Pointer[compiled]
	arrived chan struct{} // closed when the first configuration is in force
	await   func(context.Context, mesh.Name) error
}

func (c *configuration) swap(s *client.Snapshot) {
	old := c.current.Load()
	var before map[mesh.Name]*deliver.Subscription
	if old != nil {
		before = old.subscriptions
	}
	c.current.Store(&compiled{
		version:       s.Version,
		at:            s.At,
		mesh:          s.Config,
		table:         route.Compile(s.Config),
		subscriptions: deliver.Compile(s.Config, before),
		superseded:    make(chan struct{}),
	})
	if old == nil {
		close(c.arrived)
		return
	}
	close(old.superseded)
}

// Lookup implements publish.Topics.
func (c *configuration) Lookup(name mesh.Name) (*route.Topic, bool) {
	cur := c.current.Load()
	if cur == nil {
		return nil, false
	}
	return cur.table.Topic(name)
}

// Topic implements publish.Topics. A topic that was never used is asked for from
// the control plane, and waited for within ctx.
func (c *configuration) Topic(ctx context.Context, name mesh.Name) (*route.Topic, error) {
	if t, ok := c.Lookup(name); ok {
		return t, nil
	}
	switch err := c.await(ctx, name); {
	case err == nil:
	case errors.Is(err, client.ErrNotFound):
		return nil, refusal.Missing(refusal.TopicNotFound, "EventTopic", name.String(), fmt.Sprintf("topic %s is not declared", name))
	case errors.Is(err, client.ErrTooManyTopics):
		return nil, &refusal.Error{Class: refusal.Exhausted, Reason: refusal.BufferFull, Text: err.Error(), Outcome: broker.NotSent}
	case errors.Is(err, client.ErrTooManyNewTopics):
		return nil, refusal.Full(refusal.BufferFull, fmt.Sprintf("topic %s was not looked up: too many topics that do not exist were asked for lately", name))
	default:
		return nil, refusal.Later(refusal.ConfigNotReady, fmt.Sprintf("configuration of topic %s has not arrived from the control plane", name))
	}
	if t, ok := c.Lookup(name); ok {
		return t, nil
	}
	return nil, refusal.Later(refusal.ConfigNotReady, fmt.Sprintf("configuration of topic %s is changing", name))
}

// Subscription implements deliver.Subscriptions.
func (c *configuration) Subscription(name mesh.Name) (*deliver.Subscription, <-chan struct{}, error) {
	cur := c.current.Load()
	if cur == nil {
		return nil, nil, refusal.Later(refusal.ConfigNotReady, "no configuration has arrived from the control plane yet")
	}
	sub, ok := cur.subscriptions[name]
	if !ok {
		return nil, nil, refusal.Missing(refusal.SubscriptionUnknown, "EventSubscription", name.String(),
			fmt.Sprintf("subscription %s does not exist or its selector does not match this workload's labels", name))
	}
	return sub, cur.superseded, nil
}

// Declared implements deadletter.Subscriptions.
func (c *configuration) Declared(name mesh.Name) (*mesh.Subscription, error) {
	sub, _, err := c.Subscription(name)
	if err != nil {
		return nil, err
	}
	return sub.Subscription, nil
}

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
			Key: xds.SubscriptionResource(s.Name), Topology: deliver.Layout(s, policy(s.Broker)),
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
