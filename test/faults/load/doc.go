// Package load is the services of a run: publishers of numbered events by key and
// subscribers, both
// recording everything they do and see in a history. They use the generated client
// (client.Client.API): every call, answer and stream is recorded, and package client
// would repeat and reconnect unseen.
//
// A publisher does what a service should: it repeats an event whose outcome is
// unknown, with the same id, until it is confirmed or given up, and it takes a
// certain failure for one. A subscriber deduplicates nothing and, unless it is told
// to misbehave, acknowledges. Neither judges; package check does.
//
//	group := load.NewGroup(ctx)
//	group.Publish(load.Publisher{Recorder: rec, Client: checkout, Topic: "orders", Name: "u", Keys: 4, Rate: 300}.Unary)
//	group.Subscribe(&load.Subscriber{Recorder: rec, Client: billing, Subscription: "shop/billing"})
//	...
//	group.StopPublishing() // and waits for the last answer
//	group.Stop()
package load
