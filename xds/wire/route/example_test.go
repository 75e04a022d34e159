package route_test

import (
	"fmt"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/route"
)

// Rules after one that matches everything are never reached, and not sent.
func ExampleNormal() {
	topic := &mesh.Topic{Rules: []mesh.Rule{
		{Name: "eu", Filters: []mesh.Filter{{Op: mesh.Suffix, Attr: "subject", Value: "/eu"}}},
		{Name: "rest"},
		{Name: "never"},
	}}
	for _, r := range route.Normal(topic).Rules {
		fmt.Println(r.Name)
	}
	// Output:
	// eu
	// rest
}
