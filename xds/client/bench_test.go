package client

import (
	"fmt"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// BenchmarkOneRouteOfAThousandChanges is the whole work of one response in a big
// mesh: decode, assemble, build the snapshot. Budget: 1,500 allocations; its time is
// linear in what the sidecar uses, a few µs a topic.
func BenchmarkOneRouteOfAThousandChanges(b *testing.B) {
	const topics = 1000
	broker := mesh.Name{Namespace: "shop", Name: "main"}
	applied := 0
	c := newClient(b, options(func(o *Options) { o.Apply = func(*Snapshot) Refusals { applied++; return nil } }))
	tell := func(typeURL, version string, rs []wire.Resource, err error) {
		r := resourceOf(b, typeURL, version, rs, err)
		c.take(&discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL, Resources: []*discoveryv3.Resource{r}})
	}
	for i := range topics {
		n := mesh.Name{Namespace: "shop", Name: fmt.Sprint("topic-", i)}
		c.Want(n)
		c.advance()
		rs, err := wire.EncodeTopic(topicTo(n, broker))
		tell(xds.TypeListener, "v1", rs, err)
		c.advance()
		tell(xds.TypeRoute, "v1", rs, err)
	}
	c.advance()
	rs, err := wire.EncodeBroker(brokerAt(broker, mesh.RabbitMQ, "127.0.0.1:1"))
	tell(xds.TypeCluster, "v1", rs, err)
	c.advance()
	tell(xds.TypeEndpoint, "v1", rs, err)
	c.advance()
	if applied != 1 || len(c.applied.Config().Topics) != topics {
		b.Fatalf("%d snapshots, %d topics", applied, len(c.applied.Config().Topics))
	}
	changed, err := wire.EncodeTopic(topicTo(mesh.Name{Namespace: "shop", Name: "topic-7"}, broker))
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		tell(xds.TypeRoute, fmt.Sprint("v", i+2), changed, err)
		c.advance()
	}
	b.StopTimer()
	if applied != 1+b.N {
		b.Fatalf("%d snapshots for %d changes", applied-1, b.N)
	}
}
