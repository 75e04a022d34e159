package events_test

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/examples/shop/events"
)

// starting is a sidecar that is not ready for the first call.
type starting struct {
	eventsv1.EventServiceClient
	calls int
}

func (s *starting) Publish(_ context.Context, req *eventsv1.PublishRequest, _ ...grpc.CallOption) (*eventsv1.PublishResponse, error) {
	if s.calls++; s.calls == 1 {
		return nil, status.Error(codes.Unavailable, "broker shop/main is not connected")
	}
	return &eventsv1.PublishResponse{EventId: req.GetEvent().GetId(), Topic: "shop/orders"}, nil
}

func ExamplePublisher_Publish() {
	p := &events.Publisher{Client: &starting{}, Backoff: time.Millisecond}
	answer, calls, err := p.Publish(context.Background(), "orders", &eventsv1.CloudEvent{Id: "order-17"})
	fmt.Println(answer.GetEventId(), answer.GetTopic(), calls, err)
	// Output: order-17 shop/orders 2 <nil>
}
