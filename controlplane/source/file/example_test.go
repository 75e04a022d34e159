package file_test

import (
	"fmt"

	"github.com/warrenmesh/warren/controlplane/source/file"
)

func ExampleDecode() {
	text := `apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: orders, namespace: shop}
spec:
  brokerRef: {name: main}
  routingkey: "{type}"
`
	set, problems := file.Decode(file.File{Name: "topics.yaml", Data: []byte(text)})
	fmt.Println(set.Objects[0].Name())
	for _, p := range problems {
		fmt.Println(p)
	}
	// Output:
	// EventTopic shop/orders
	// topics.yaml:6: spec.routingkey: unknown field "routingkey" (did you mean "routingKey"?): want one of brokerRef, exchange, partitions, publish, routingKey
}
