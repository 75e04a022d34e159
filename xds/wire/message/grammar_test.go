package message

import (
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
)

// FuzzGrammar: what the grammar lets pass, the walk through the decoded message
// does not refuse.
func FuzzGrammar(f *testing.F) {
	kinds := []proto.Message{&routev3.RouteConfiguration{}, &listenerv3.Listener{}, &xdsv1.AmqpRoute{}, &xdsv1.Filter{}}
	seed := func(kind int, m proto.Message) {
		body, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, body)
	}
	rule := &routev3.Route{
		Name:  "rest",
		Match: &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: ""}},
		Action: &routev3.Route_Route{Route: &routev3.RouteAction{
			ClusterSpecifier: &routev3.RouteAction_WeightedClusters{WeightedClusters: &routev3.WeightedCluster{
				Clusters: []*routev3.WeightedCluster_ClusterWeight{{
					Name: "broker/a/b", Weight: wrapperspb.UInt32(1),
					TypedPerFilterConfig: map[string]*anypb.Any{"warren.amqp": {TypeUrl: "type.googleapis.com/envoy.config.route.v3.FilterConfig"}},
				}},
			}},
			Timeout:     durationpb.New(0),
			RetryPolicy: &routev3.RetryPolicy{RetryOn: "nack", NumRetries: wrapperspb.UInt32(2)},
		}},
	}
	seed(0, &routev3.RouteConfiguration{Name: "a", VirtualHosts: []*routev3.VirtualHost{{Domains: []string{"*"}, Routes: []*routev3.Route{rule}}}})
	seed(0, &routev3.RouteConfiguration{VirtualHosts: []*routev3.VirtualHost{{RequireTls: routev3.VirtualHost_ALL}}})
	seed(1, &listenerv3.Listener{Name: "a", ApiListener: &listenerv3.ApiListener{}})
	seed(2, &xdsv1.AmqpRoute{Topic: "a/b", Exchange: &xdsv1.Exchange{Name: "b"}, Priority: 3})
	leaf := &xdsv1.Filter{Filter: &xdsv1.Filter_Exact{Exact: &xdsv1.AttributeMatch{Attribute: "type", Value: "a"}}}
	seed(3, &xdsv1.Filter{Filter: &xdsv1.Filter_All{All: &xdsv1.FilterList{Filters: []*xdsv1.Filter{leaf, leaf}}}})
	f.Fuzz(func(t *testing.T, kind int, body []byte) {
		m := kinds[uint(kind)%uint(len(kinds))].ProtoReflect().New()
		if !grammarOf(m.Descriptor()).sound(body) || proto.Unmarshal(body, m.Interface()) != nil {
			return
		}
		if err := honest("at", m); err != nil {
			t.Errorf("the grammar let pass what is refused: %v", err)
		}
	})
}
