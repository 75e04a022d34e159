package tracing_test

import (
	"context"
	"fmt"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

func ExampleMessaging_StartProcess() {
	// Without an exporter nothing is recorded, and the context still goes on.
	p, err := tracing.Setup(context.Background(), tracing.Options{
		ServiceName: "billing", Getenv: func(string) string { return "" },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, span := p.Messaging().StartProcess(context.Background(), tracing.Process{
		System: tracing.SystemRabbitMQ, Topic: "shop/orders", EventID: "17",
		Hop: tracecontext.Hop{Parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
	})
	defer span.End(nil)
	fmt.Println(p.Enabled(), tracecontext.Inject(ctx))
	// Output: false map[traceparent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01]
}
