package main

import (
	"strings"

	"github.com/warrenmesh/warren/xds"
)

// resourceKinds are what people call xDS resources, in the order they are shown.
var resourceKinds = []string{"Topic", "Route", "Subscription", "Broker", "Nodes"}

// resourceKind returns what people call a resource, and its name without the
// prefix that tells kinds of one type apart.
func resourceKind(typeURL, name string) (kind, short string) {
	short = name
	if _, after, ok := strings.Cut(name, "/"); ok {
		short = after
	}
	switch typeURL {
	case xds.TypeListener:
		if _, err := xds.ParseSubscriptionResource(name); err == nil {
			return "Subscription", short
		}
		return "Topic", short
	case xds.TypeRoute:
		return "Route", short
	case xds.TypeCluster:
		return "Broker", short
	case xds.TypeEndpoint:
		return "Nodes", short
	default:
		return typeURL[strings.LastIndexByte(typeURL, '.')+1:], name
	}
}
