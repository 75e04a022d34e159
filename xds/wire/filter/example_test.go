package filter_test

import (
	"fmt"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/filter"
)

func ExampleEncodeHeader() {
	f := mesh.Filter{Op: mesh.Prefix, Attr: "type", Value: "com.shop."}
	if !filter.IsHeader(f) {
		fmt.Println("needs a tree")
		return
	}
	m := filter.EncodeHeader(f)
	fmt.Println(m.GetName(), m.GetStringMatch().GetPrefix())
	// Output: ce-type com.shop.
}
