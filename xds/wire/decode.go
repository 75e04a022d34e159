package wire

import (
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire/cluster"
	"github.com/warrenmesh/warren/xds/wire/field"
	"github.com/warrenmesh/warren/xds/wire/listener"
	"github.com/warrenmesh/warren/xds/wire/message"
	"github.com/warrenmesh/warren/xds/wire/route"
)

// Decode reads one resource of type typeURL and checks it. The error names the
// field, not the resource; nil is an error. It never panics.
func Decode(typeURL string, body *anypb.Any) (Decoded, error) {
	switch typeURL {
	case xds.TypeListener:
		var l listenerv3.Listener
		if err := message.Unpack("", body, &l); err != nil {
			return nil, err
		}
		return decodeListener(&l)
	case xds.TypeRoute:
		topic, rules, err := route.Decode(body)
		return orError(&Routes{Name: topic, Rules: rules}, err)
	case xds.TypeCluster:
		b, endpoints, err := cluster.Decode(body)
		return orError(&Cluster{Broker: b, EndpointName: endpoints}, err)
	case xds.TypeEndpoint:
		broker, nodes, err := cluster.DecodeEndpoints(body)
		return orError(&Endpoints{Name: broker, Nodes: nodes}, err)
	default:
		return nil, field.Path("").Errorf("resource type %q is not supported", typeURL)
	}
}

func decodeListener(l *listenerv3.Listener) (Decoded, error) {
	if listener.IsSubscription(l) {
		s := &Subscription{}
		return orError(s, listener.DecodeSubscription(l, &s.Subscription))
	}
	topic, routes, err := listener.DecodeTopic(l)
	return orError(&TopicListener{Name: topic, RouteConfig: routes}, err)
}

// orError returns the error alone if there is one.
func orError(d Decoded, err error) (Decoded, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}
