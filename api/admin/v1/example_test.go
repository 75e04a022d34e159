package adminv1_test

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
)

func ExampleTapRequest() {
	var req adminv1.TapRequest
	err := protojson.Unmarshal([]byte(`{"topic": "shop/orders", "sample_percent": 10, "max_payload_bytes": 100}`), &req)
	fmt.Println(req.GetTopic(), req.GetSamplePercent(), req.GetMaxPayloadBytes(), err)
	// Output: shop/orders 10 100 <nil>
}
