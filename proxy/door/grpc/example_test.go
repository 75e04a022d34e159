package grpc_test

import (
	"fmt"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	door "github.com/warrenmesh/warren/proxy/door/grpc"
)

func ExampleIsWatch() {
	fmt.Println(door.IsWatch(eventsv1.EventService_Subscribe_FullMethodName))
	fmt.Println(door.IsWatch("/grpc.health.v1.Health/Watch"))
	// Output:
	// false
	// true
}
