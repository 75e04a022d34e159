package wire

import (
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds"
)

// Decode reads one resource of type typeURL and checks it. The error names the
// field, not the resource; nil is an error. It never panics.
func Decode(typeURL string, body *anypb.Any) (Decoded, error) {
	switch typeURL {
	case xds.TypeListener:
		var m listenerv3.Listener
		if err := Unpack("", body, &m); err != nil {
			return nil, err
		}
		return decodeListener(&m)
	case xds.TypeRoute:
		var m routev3.RouteConfiguration
		actions, err := unpackRoutes(body, &m)
		if err != nil {
			return nil, err
		}
		return noNil(decodeRoutes(&m, actions))
	case xds.TypeCluster:
		var m clusterv3.Cluster
		if err := Unpack("", body, &m); err != nil {
			return nil, err
		}
		return noNil(decodeCluster(&m))
	case xds.TypeEndpoint:
		var m endpointv3.ClusterLoadAssignment
		if err := Unpack("", body, &m); err != nil {
			return nil, err
		}
		return noNil(decodeEndpoints(&m))
	default:
		return nil, Path("").Errorf("resource type %q is not supported", typeURL)
	}
}

func decodeListener(l *listenerv3.Listener) (Decoded, error) {
	if Holds(l.GetApiListener().GetApiListener()) == subscriptionListener {
		return noNil(decodeSubscription(l))
	}
	return noNil(decodeTopicListener(l))
}

// noNil keeps a nil pointer from becoming a non-nil Decoded.
func noNil[T Decoded](d T, err error) (Decoded, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}
