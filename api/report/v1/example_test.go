package reportv1_test

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"

	reportv1 "github.com/warrenmesh/warren/api/report/v1"
)

func ExampleReportRequest() {
	var req reportv1.ReportRequest
	err := protojson.Unmarshal([]byte(`{"instance": "7", "sequence": "1", "published": [{"topic": "shop/orders", "confirmed": "40"}]}`), &req)
	fmt.Println(req.GetSequence(), req.GetPublished()[0].GetTopic(), req.GetPublished()[0].GetConfirmed(), err)
	// Output: 1 shop/orders 40 <nil>
}
