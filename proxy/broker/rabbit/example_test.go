package rabbit_test

import (
	"context"
	"fmt"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit"
	"github.com/warrenmesh/warren/proxy/event"
)

// A publish while the node is not connected fails at once, and says that nothing
// was sent.
func ExampleNode_Publish() {
	n := rabbit.New(rabbit.Options{Address: "127.0.0.1:5672"})
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	n.Publish(ctx, []queueing.Message{{
		Exchange: "orders", RoutingKey: "com.shop.order.placed",
		Event: &event.Event{ID: "1", Source: "/shop", Type: "com.shop.order.placed"},
	}}, func(_, _ int, err error) {
		fmt.Println(err)
		fmt.Println(broker.KindOf(err), broker.OutcomeOf(err))
	})
	// Output:
	// publish to exchange "orders": unavailable: not started
	// unavailable not_sent
}
