// Package dapr publishes and receives through a Dapr sidecar that already runs, by the
// gRPC API of Dapr 1.16: PublishEvent, BulkPublishEventAlpha1 and
// SubscribeTopicEventsAlpha1.
//
// wire.go has the messages of these three calls, with the field numbers of
// dapr/proto/runtime/v1 in github.com/dapr/dapr. It writes and reads them itself, so that
// Warren depends on nothing of Dapr. Dapr has no stream to publish on: Stream makes calls
// side by side. A Target is a load.Target.
//
//	target, err := dapr.Open(ctx, dapr.Options{Address: "127.0.0.1:50001", PubSub: "pubsub", Topic: "bench"})
//	defer target.Close()
package dapr
