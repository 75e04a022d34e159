package wire_test

import (
	"fmt"

	"github.com/warrenmesh/warren/xds/wire"
)

func Example() {
	resources, err := wire.EncodeTopic(orders())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range resources {
		d, err := wire.Decode(r.TypeURL, r.Any)
		if err != nil {
			fmt.Println(err)
			return
		}
		switch d := d.(type) {
		case *wire.TopicListener:
			fmt.Println(d.Name, "is routed by", d.RouteConfig)
		case *wire.Routes:
			fmt.Println(d.Name, "has", len(d.Rules), "rules and needs", d.Clusters())
		}
	}
	// Output:
	// shop/orders is routed by topic/shop/orders
	// shop/orders has 2 rules and needs [broker/shop/main]
}
