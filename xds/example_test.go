package xds_test

import (
	"fmt"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
)

func ExampleTopicResource() {
	resource := xds.TopicResource(mesh.Name{Namespace: "shop", Name: "orders"})
	fmt.Println(resource)
	fmt.Println(xds.ParseTopicResource(resource))
	// Output:
	// topic/shop/orders
	// shop/orders <nil>
}
