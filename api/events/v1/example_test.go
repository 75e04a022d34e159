package eventsv1_test

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

func ExamplePublishRequest() {
	var req eventsv1.PublishRequest
	err := protojson.Unmarshal([]byte(`{
		"topic": "orders",
		"event": {"spec_version": "1.0", "id": "17", "source": "/shop", "type": "com.shop.order.placed", "text_data": "order 17"}
	}`), &req)
	fmt.Println(req.GetTopic(), req.GetEvent().GetId(), req.GetEvent().GetTextData(), err)
	// Output: orders 17 order 17 <nil>
}
