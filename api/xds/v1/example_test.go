package xdsv1_test

import (
	"fmt"

	"google.golang.org/protobuf/types/known/anypb"

	xdsv1 "github.com/warrenmesh/warren/api/xds/v1"
)

func ExampleAmqpRoute() {
	config, err := anypb.New(&xdsv1.AmqpRoute{Topic: "shop/orders", RoutingKey: "{type}", Mandatory: true})
	fmt.Println(config.GetTypeUrl(), err) // the value in typed_per_filter_config
	// Output: type.googleapis.com/warren.xds.v1.AmqpRoute <nil>
}
