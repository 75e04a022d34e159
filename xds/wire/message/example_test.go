package message_test

import (
	"fmt"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"

	"github.com/warrenmesh/warren/xds/wire/message"
)

// A field that no sidecar implements is refused, whatever its value.
func ExampleUnpack() {
	body, err := message.Pack(&clusterv3.Cluster{Name: "broker/shop/main", AltStatName: "main"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(message.Unpack("", body, &clusterv3.Cluster{}))
	// Output: alt_stat_name: not supported
}
