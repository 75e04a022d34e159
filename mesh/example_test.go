package mesh_test

import (
	"fmt"

	"github.com/warrenmesh/warren/mesh"
)

func ExampleParseName() {
	fmt.Println(mesh.ParseName("orders", "shop"))
	fmt.Println(mesh.ParseName("billing/invoices", "shop"))
	// Output:
	// shop/orders <nil>
	// billing/invoices <nil>
}

func ExampleTemplate_Segments() {
	segments, err := mesh.Template("eu.{type}.{subject}").Segments()
	for _, s := range segments {
		fmt.Printf("literal %q attribute %q\n", s.Literal, s.Attribute)
	}
	fmt.Println(err)
	// Output:
	// literal "eu." attribute ""
	// literal "" attribute "type"
	// literal "." attribute ""
	// literal "" attribute "subject"
	// <nil>
}
