// Package load runs the services of a run: publishers of numbered events by key, and
// subscribers. Both record all calls, answers and deliveries in a history. They use the
// generated client (client.Client.API), so that every call and stream is recorded:
// package client would repeat calls and reconnect by itself.
//
// A publisher does what a service should do. It repeats an event of unknown outcome
// with the same id, until it is confirmed or the publisher gives up; it does not repeat
// an event that failed for certain. A subscriber does not deduplicate. It acknowledges
// unless it is told otherwise. Package check judges both.
//
//	group := load.NewGroup(ctx)
//	group.Publish(load.Publisher{Recorder: rec, Client: checkout, Topic: "orders", Name: "u", Keys: 4, Rate: 300}.Unary)
//	group.Subscribe(&load.Subscriber{Recorder: rec, Client: billing, Subscription: "shop/billing"})
//	...
//	group.StopPublishing() // and waits for the last answer
//	group.Stop()
package load
