package resolve_test

import (
	"fmt"

	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/controlplane/source/file"
	"github.com/warrenmesh/warren/mesh"
)

func ExampleResolve() {
	const text = `
apiVersion: warrenmesh.io/v1alpha1
kind: EventBroker
metadata: {name: main, namespace: shop}
spec: {type: Memory}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: orders, namespace: shop}
spec: {brokerRef: {name: main}}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: billing, namespace: shop}
spec: {topicRef: {name: order}, selector: {matchLabels: {app: billing}}}
`
	set, _ := file.Decode(file.File{Name: "shop.yaml", Data: []byte(text)})
	result, problems := resolve.Resolve(set)
	for _, p := range problems {
		fmt.Println(p)
	}
	rule := result.Config.Topics[mesh.Name{Namespace: "shop", Name: "orders"}].Rules[0]
	fmt.Println(rule.Backends[0].Destination.Exchange.Name, rule.Retry.Attempts)
	// Output:
	// shop.yaml:15: spec.topicRef.name: EventTopic shop/order is not declared (did you mean "orders"?): declare it, or name one that is: orders
	// orders 3
}
