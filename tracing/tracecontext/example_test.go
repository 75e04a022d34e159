package tracecontext_test

import (
	"context"
	"fmt"

	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// An entry of a stream brings the trace context of its event. It goes on in the headers
// of the message.
func ExampleExtract() {
	entry := map[string]string{
		"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"tracestate":  "not a tracestate",
		"baggage":     "tenant=blue",
	}
	ctx := tracecontext.Extract(context.Background(), entry)
	fmt.Printf("%+v\n", tracecontext.Of(ctx))
	fmt.Println(tracecontext.Of(tracecontext.Extract(ctx, nil)) == (tracecontext.Hop{}))
	// Output:
	// {Parent:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 State: Baggage:tenant=blue}
	// true
}
