package wire

import (
	"fmt"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire/cluster"
	"github.com/warrenmesh/warren/xds/wire/listener"
	"github.com/warrenmesh/warren/xds/wire/route"
)

// EncodeTopic returns the Listener and the RouteConfiguration of a topic. Rules
// after the first that matches everything are left out: they are never reached.
func EncodeTopic(t *mesh.Topic) ([]Resource, error) {
	t = route.Normal(t)
	name := xds.TopicResource(t.Name)
	topic, err := listener.EncodeTopic(name)
	if err != nil {
		return nil, err
	}
	l, err := newResource(name, topic)
	if err != nil {
		return nil, err
	}
	routes, err := route.Encode(name, t.Rules)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", name, err)
	}
	r, err := newResource(name, routes)
	if err != nil {
		return nil, err
	}
	return []Resource{l, r}, nil
}

// EncodeBroker returns the Cluster and the ClusterLoadAssignment of a broker. The
// nodes of one priority and zone are kept together, in the order of the zone's
// first.
func EncodeBroker(b *mesh.Broker) ([]Resource, error) {
	name := xds.BrokerResource(b.Name)
	broker, err := cluster.Encode(name, b)
	if err != nil {
		return nil, err
	}
	c, err := newResource(name, broker)
	if err != nil {
		return nil, err
	}
	assignment, err := cluster.EncodeEndpoints(name, b.Nodes)
	if err != nil {
		return nil, err
	}
	e, err := newResource(name, assignment)
	if err != nil {
		return nil, err
	}
	return []Resource{c, e}, nil
}

// EncodeSubscription returns the Listener of a subscription.
func EncodeSubscription(s *mesh.Subscription) ([]Resource, error) {
	name := xds.SubscriptionResource(s.Name)
	l, err := listener.EncodeSubscription(name, s)
	if err != nil {
		return nil, err
	}
	r, err := newResource(name, l)
	if err != nil {
		return nil, err
	}
	return []Resource{r}, nil
}
