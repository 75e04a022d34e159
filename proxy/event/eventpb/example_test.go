package eventpb_test

import (
	"fmt"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
)

func ExampleFromProto() {
	e, err := eventpb.FromProto(&eventsv1.CloudEvent{
		SpecVersion: "1.0", Id: "17", Source: "/shop", Type: "com.shop.order.placed",
		Attributes: map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
			"time": {Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: "2024-05-01T12:00:00Z"}},
		},
	})
	fmt.Println(err)
	time, _ := e.Lookup("time")
	fmt.Println(time.Kind(), time) // text becomes the type of its attribute
	// Output:
	// <nil>
	// Timestamp 2024-05-01T12:00:00Z
}
