package controlplane_test

import (
	"fmt"

	"github.com/warrenmesh/warren/controlplane"
)

func ExampleCheck() {
	summary, problems := controlplane.Check("testdata/broken")
	for _, p := range problems {
		fmt.Println(p)
	}
	fmt.Println(summary.Objects["EventTopic"], "topics")
	// Output:
	// topics.yaml:4: spec.brokerRef.name: EventBroker shop/main is not declared: declare it; namespace "shop" has no EventBroker
	// 1 topics
}
