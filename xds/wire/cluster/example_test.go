package cluster_test

import (
	"fmt"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/cluster"
)

// Nodes of one zone are kept together, and share what the zone gets.
func ExampleEncodeEndpoints() {
	assignment, err := cluster.EncodeEndpoints("broker/shop/main", []mesh.Node{
		{Address: "rabbit-0:5672", Zone: "a"},
		{Address: "rabbit-1:5672", Zone: "b"},
		{Address: "rabbit-2:5672", Zone: "a"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range assignment.GetEndpoints() {
		fmt.Println(l.GetLocality().GetZone(), l.GetLoadBalancingWeight().GetValue())
	}
	// Output:
	// a 2
	// b 1
}
