package configuration_test

import (
	"context"
	"errors"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/warrenmesh/warren/tracing/configuration"
)

// The control plane reads two objects, makes resources of them and sends these to a
// sidecar, which refuses them.
func Example() {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	tracer := configuration.New(provider.Tracer("example"), "controlplane")

	ctx, change := tracer.StartChange(context.Background(), configuration.Change{Objects: 2})
	_, resolve := tracer.StartResolve(ctx)
	resolve.End(nil)
	push := tracer.StartPush(change.Hop(), configuration.Push{Sidecar: "billing.shop~1"})
	push.End(errors.New("weights sum to 0"))
	change.End(nil)

	for _, s := range spans.Ended() {
		fmt.Println(s.Name()+":", s.Status().Code)
	}
	// Output:
	// read configuration: Unset
	// resolve configuration: Unset
	// push configuration: Error
	// change configuration: Unset
}
