package resource_test

import (
	"errors"
	"fmt"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client/resource"
)

// A resource keeps its last good version while a later one is bad. A reconnect does not
// claim to have it.
func ExampleTable() {
	const name = "broker/shop/main"
	t := resource.New()
	t.Accept(&resource.Entry{TypeURL: xds.TypeCluster, Name: name, Version: "v1"})
	t.Reject(xds.TypeCluster, name, "v2", errors.New("type: is required"))
	row := t[xds.TypeCluster][name]
	fmt.Println(row.State, row.Version(), row.Rejected, row.Err)
	fmt.Println(t.Versions(xds.TypeCluster))
	// Output:
	// NACKED v1 v2 type: is required
	// map[broker/shop/main:]
}
