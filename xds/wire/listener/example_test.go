package listener_test

import (
	"fmt"

	"github.com/warrenmesh/warren/xds/wire/listener"
)

func ExampleDecodeTopic() {
	l, err := listener.EncodeTopic("topic/shop/orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	topic, routes, err := listener.DecodeTopic(l)
	fmt.Println(topic, "is routed by", routes, err)
	// Output: shop/orders is routed by topic/shop/orders <nil>
}
