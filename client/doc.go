// Package events is the shop's own thin layer over the generated client of
// warren.events.v1: dial the sidecar, publish until confirmed, keep a
// subscription open. It is what a team would write once for its services, and it
// uses nothing of Warren but the generated stubs; the shipping service does the
// same in Node.
//
// It owns retries of the service itself (a sidecar that restarts, an outcome that
// is unknown) and the bookkeeping of a subscription stream. What an event means
// is the handler's business.
//
// A Publisher and a Subscriber are safe to use from several goroutines; each
// Subscriber.Run call keeps a stream of its own.
//
//	conn, err := events.Dial("unix:///var/run/warren/warren.sock")
//	client := eventsv1.NewEventServiceClient(conn)
//	resp, attempts, err := (&events.Publisher{Client: client}).Publish(ctx, "orders", event)
//	pipeline := &events.Pipeline{Client: client, Log: log} // the same over one stream, while pipeline.Run(ctx) runs
//	resp, attempts, err = pipeline.Publish(ctx, "orders", event)
//	err = (&events.Subscriber{Client: client, Subscription: "billing", Handle: handle}).Run(ctx)
package events
