package route

import (
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/field"
	"github.com/warrenmesh/warren/xds/wire/filter"
)

// keyHeader returns the header of the attribute by which a rule chooses a backend,
// so that events of one key stay together: the key of the first backend that has
// partitions. "" when none has. By which key a backend's events go to its
// partitions stands in its AmqpRoute.
func keyHeader(backends []mesh.Backend) string {
	for i := range backends {
		if s := backends[i].Destination.Partitions; s.Count > 0 {
			return filter.Header(s.Key)
		}
	}
	return ""
}

// encodeHash says that the hash of a header chooses among the backends.
func encodeHash(action *routev3.RouteAction, header string) {
	if header == "" {
		return
	}
	action.HashPolicy = []*routev3.RouteAction_HashPolicy{{PolicySpecifier: &routev3.RouteAction_HashPolicy_Header_{
		Header: &routev3.RouteAction_HashPolicy_Header{HeaderName: header},
	}}}
	action.GetWeightedClusters().RandomValueSpecifier = &routev3.WeightedCluster_UseHashPolicy{UseHashPolicy: wrapperspb.Bool(true)}
}

// checkHash demands that a route hashes by the header that its backends make it
// hash by, and only then: an event is hashed by nothing else.
func checkHash(p field.Path, action *routev3.RouteAction, header string) error {
	want, at := []string{}, p.Field("hash_policy")
	if header != "" {
		want = append(want, header)
	}
	got := []string{}
	for _, h := range action.GetHashPolicy() {
		got = append(got, h.GetHeader().GetHeaderName())
	}
	if !slices.Equal(got, want) {
		return at.Errorf("is by headers %q, want %q: the key of the first backend with partitions", got, want)
	}
	if use := action.GetWeightedClusters().GetUseHashPolicy().GetValue(); use != (header != "") {
		return p.Field("weighted_clusters").Field("use_hash_policy").Errorf("is %t, want %t: backends with partitions are chosen by key, others at random", use, !use)
	}
	return nil
}
