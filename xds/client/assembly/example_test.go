package assembly_test

import (
	"fmt"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client/assembly"
	"github.com/warrenmesh/warren/xds/client/resource"
)

// While nothing is known of a topic, no form of it is made and its listener is needed.
func ExampleNext() {
	orders := mesh.Name{Namespace: "shop", Name: "orders"}
	wanted := map[mesh.Name]bool{orders: true}
	forms, needs := assembly.Next(resource.New(), wanted, assembly.New(0), assembly.Barred{})
	fmt.Println(forms.Has(orders), needs.Has(xds.TypeListener, xds.TopicResource(orders)))
	// Output: false true
}
