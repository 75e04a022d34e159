package rpcerr_test

import (
	"fmt"

	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
)

func ExampleFrom() {
	err := rpcerr.From(refusal.Missing(refusal.TopicNotFound, "EventTopic", "shop/orders", "topic shop/orders is not declared"))
	fmt.Println(status.Code(err), rpcerr.Reason(err), rpcerr.Metadata(err, "outcome"))
	// Output: NotFound TOPIC_NOT_FOUND not_sent
}
