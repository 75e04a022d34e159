package declare_test

import (
	"fmt"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
)

func ExampleDeclare() {
	topic := &v1alpha1.EventTopic{ObjectMeta: v1alpha1.ObjectMeta{Name: "orders", Namespace: "shop"}}
	topic.Spec.BrokerRef.Name = "main"
	topic.Spec.Publish = &v1alpha1.PublishSettings{Priority: 10}

	checked := declare.Check(declare.Object{Value: topic})
	set, problems := declare.Declare(declare.Batch{Source: "kubernetes", Objects: []declare.Checked{checked}})
	fmt.Println(set.Objects[0].Name(), topic.Spec.RoutingKey)
	for _, p := range problems {
		fmt.Println(p)
	}
	// Output:
	// EventTopic shop/orders {type}
	// EventTopic shop/orders: spec.publish.priority: is 10: want 0 to 9
}
