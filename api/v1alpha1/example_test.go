package v1alpha1_test

import (
	"fmt"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

func ExampleValidate() {
	topic := &v1alpha1.EventTopic{
		ObjectMeta: v1alpha1.ObjectMeta{Name: "orders", Namespace: "shop"},
		Spec: v1alpha1.EventTopicSpec{
			RoutingKey: "{Type}",
			Publish:    &v1alpha1.PublishSettings{Priority: 10},
		},
	}
	v1alpha1.Default(topic)
	for _, err := range v1alpha1.Validate(topic) {
		fmt.Println(err)
	}
	// Output:
	// spec.brokerRef.name: is missing: name the EventBroker
	// spec.routingKey: template "{Type}": "Type" is not an attribute name (a-z, 0-9): want text with {attribute} placeholders, such as "{type}"
	// spec.publish.priority: is 10: want 0 to 9
}
