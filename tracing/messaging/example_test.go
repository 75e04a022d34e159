package messaging_test

import (
	"context"
	"fmt"

	"github.com/warrenmesh/warren/tracing/messaging"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

func ExampleTracer_StartProcess() {
	// Without an exporter nothing is recorded, and the context still goes on.
	tracer := messaging.New(messaging.Options{Component: "sidecar"})
	ctx, span := tracer.StartProcess(context.Background(), messaging.Process{
		System: messaging.SystemRabbitMQ, Topic: "shop/orders", EventID: "17",
		Hop: tracecontext.Hop{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	})
	defer span.End(nil)
	fmt.Println(tracer.Enabled(), tracecontext.Inject(ctx))
	// Output: false map[traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01]
}
