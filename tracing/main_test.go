package tracing_test

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/tracing/tracecontext"
)

const hop = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func remote(traceparent string) trace.SpanContext {
	ctx := tracecontext.Extract(context.Background(), map[string]string{"traceparent": traceparent})
	return trace.SpanContextFromContext(ctx)
}
