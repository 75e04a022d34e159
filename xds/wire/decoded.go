package wire

import (
	"maps"
	"slices"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
)

// Decoded is one decoded resource: a *TopicListener, *Subscription, *Routes, *Cluster
// or *Endpoints.
type Decoded interface {
	// ResourceName is the xDS name the resource carries.
	ResourceName() string

	decoded()
}

// TopicListener is the Listener of a topic.
type TopicListener struct {
	Name        mesh.Name
	RouteConfig string // name of the RouteConfiguration
}

// Subscription is the Listener of a subscription.
type Subscription struct {
	mesh.Subscription
}

// Routes is the RouteConfiguration of a topic.
type Routes struct {
	Name  mesh.Name
	Rules []mesh.Rule
}

// Cluster is the Cluster of a broker.
type Cluster struct {
	Broker       mesh.Broker // without its nodes
	EndpointName string      // name of the ClusterLoadAssignment
}

// Endpoints is the ClusterLoadAssignment of a broker.
type Endpoints struct {
	Name  mesh.Name // of the broker
	Nodes []mesh.Node
}

// ResourceName implements Decoded.
func (l *TopicListener) ResourceName() string { return xds.TopicResource(l.Name) }

// ResourceName implements Decoded.
func (s *Subscription) ResourceName() string { return xds.SubscriptionResource(s.Name) }

// ResourceName implements Decoded.
func (r *Routes) ResourceName() string { return xds.TopicResource(r.Name) }

// ResourceName implements Decoded.
func (c *Cluster) ResourceName() string { return xds.BrokerResource(c.Broker.Name) }

// ResourceName implements Decoded.
func (e *Endpoints) ResourceName() string { return xds.BrokerResource(e.Name) }

func (*TopicListener) decoded() {}
func (*Subscription) decoded()  {}
func (*Routes) decoded()        {}
func (*Cluster) decoded()       {}
func (*Endpoints) decoded()     {}

// Cluster returns the name of the Cluster the subscription needs.
func (s *Subscription) Cluster() string { return xds.BrokerResource(s.Broker) }

// Clusters returns the names of the Clusters the rules need, sorted, each once.
func (r *Routes) Clusters() []string {
	set := map[string]struct{}{}
	for _, rule := range r.Rules {
		for _, b := range rule.Backends {
			set[xds.BrokerResource(b.Destination.Broker)] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(set))
}
