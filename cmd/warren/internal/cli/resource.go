package cli

import (
	"strings"

	"github.com/warrenmesh/warren/xds"
)

// ResourceKinds are what people call xDS resources, in the order they are shown.
var ResourceKinds = []string{"Topic", "Route", "Subscription", "Broker", "Nodes"}

// ResourceKind returns what people call a resource, and its name without the
// prefix that tells kinds of one type apart.
func ResourceKind(typeURL, name string) (kind, short string) {
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
