package wire

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds"
)

// Decode reads one resource of type typeURL and checks it. The error names the
// field, not the resource; nil is an error. It never panics.
func Decode(typeURL string, body *anypb.Any) (Decoded, error) {
	switch typeURL {
	case xds.TypeListener:
		var l listenerv3.Listener
		if err := Unpack("", body, &l); err != nil {
			return nil, err
		}
		return decodeListener(&l)
	case xds.TypeRoute:
		topic, rules, err := decodeRoutes(body)
		return orError(&Routes{Name: topic, Rules: rules}, err)
	case xds.TypeCluster:
		b, endpoints, err := decodeCluster(body)
		return orError(&Cluster{Broker: b, EndpointName: endpoints}, err)
	case xds.TypeEndpoint:
		broker, nodes, err := decodeEndpoints(body)
		return orError(&Endpoints{Name: broker, Nodes: nodes}, err)
	default:
		return nil, Path("").Errorf("resource type %q is not supported", typeURL)
	}
}

func decodeListener(l *listenerv3.Listener) (Decoded, error) {
	if isSubscription(l) {
		s := &Subscription{}
		return orError(s, decodeSubscription(l, &s.Subscription))
	}
	topic, routes, err := decodeTopicListener(l)
	return orError(&TopicListener{Name: topic, RouteConfig: routes}, err)
}

// orError returns the error alone if there is one.
func orError(d Decoded, err error) (Decoded, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}
