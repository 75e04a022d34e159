// Package xds holds what both planes agree on: type URLs, resource names and how
// a sidecar introduces itself.
//
// One declared object is one or two resources: a topic is a Listener and a
// RouteConfiguration, a broker is a Cluster and a ClusterLoadAssignment, a
// subscription is a Listener. Names are built here and nowhere else.
package xds

import (
	"fmt"
	"strings"

	"github.com/warrenmesh/warren/mesh"
)

// Type URLs of the resources Warren serves.
const (
	TypeListener = "type.googleapis.com/envoy.config.listener.v3.Listener"
	TypeRoute    = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
	TypeCluster  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	TypeEndpoint = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
)

// TypeURLs lists the served types, referrers before what they refer to.
func TypeURLs() []string { return []string{TypeListener, TypeRoute, TypeCluster, TypeEndpoint} }

const (
	topicPrefix        = "topic/"
	subscriptionPrefix = "subscription/"
	brokerPrefix       = "broker/"
)

// TopicResource names a topic's Listener and its RouteConfiguration.
func TopicResource(n mesh.Name) string { return topicPrefix + n.String() }

// SubscriptionResource names a subscription's Listener.
func SubscriptionResource(n mesh.Name) string { return subscriptionPrefix + n.String() }

// BrokerResource names a broker's Cluster and its ClusterLoadAssignment.
func BrokerResource(n mesh.Name) string { return brokerPrefix + n.String() }

// ParseTopicResource is the inverse of TopicResource.
func ParseTopicResource(s string) (mesh.Name, error) { return parse(s, topicPrefix) }

// ParseSubscriptionResource is the inverse of SubscriptionResource.
func ParseSubscriptionResource(s string) (mesh.Name, error) { return parse(s, subscriptionPrefix) }

// ParseBrokerResource is the inverse of BrokerResource.
func ParseBrokerResource(s string) (mesh.Name, error) { return parse(s, brokerPrefix) }

func parse(s, prefix string) (mesh.Name, error) {
	rest, ok := strings.CutPrefix(s, prefix)
	if !ok || !strings.Contains(rest, "/") {
		return mesh.Name{}, fmt.Errorf("resource name %q: want %q", s, prefix+"<namespace>/<name>")
	}
	return mesh.ParseName(rest, "")
}

// FilterConfigKey is the key of AmqpRoute in typed_per_filter_config.
const FilterConfigKey = "warren.amqp"

// ProtocolOptionsKey is the key of AmqpProtocolOptions in
// Cluster.typed_extension_protocol_options.
const ProtocolOptionsKey = "warren.amqp"
