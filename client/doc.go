// Package client is the Go client of Warren's event API: it publishes events through
// the sidecar beside a service and receives the events of its subscriptions.
//
// It is a thin layer over the generated package api/events/v1: an event is an
// eventsv1.CloudEvent, and NewEvent makes one. Dial makes a Client, whose Publish and
// PublishBatch make one call each. A Pipeline publishes over one stream, so that no
// event waits for the confirm of another. Retry repeats what may be repeated, and
// nothing is repeated unless a caller asks for it. Subscribe keeps a subscription open
// and calls a Handler for each delivery. Every error of the API is an *Error, which
// says whether the broker may have the event. A service that has events pushed to it
// implements eventsv1.EventHandlerServiceServer and needs nothing from here.
//
//	c, err := client.Dial(os.Getenv(client.EnvSidecar))
//	...
//	defer c.Close()
//	event := client.NewEvent("order-17", "/checkout", "com.shop.order.placed", "application/json", data)
//	answer, tries, err := client.Retry{}.Publish(ctx, c, "orders", event)
//	...
//	err = c.Subscribe(ctx, "billing", func(ctx context.Context, d *eventsv1.Delivery) error {
//		return bill(ctx, d.GetEvent()) // nil acknowledges, an error makes it come again
//	}, client.SubscribeOptions{})
//
// Everything is safe for concurrent use. Goroutines end with the call that started
// them: Pipeline.Run and Subscribe wait for theirs.
package client
