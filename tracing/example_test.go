package tracing_test

import (
	"context"
	"fmt"

	"github.com/warrenmesh/warren/tracing"
)

// Without an exporter nothing is recorded. A variable that cannot be understood is an
// error.
func ExampleSetup() {
	for _, sampler := range []string{"", "sometimes"} {
		p, err := tracing.Setup(context.Background(), tracing.Options{
			ServiceName: "billing",
			Getenv:      func(name string) string { return map[string]string{"OTEL_TRACES_SAMPLER": sampler}[name] },
		})
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println("recording:", p.Enabled())
		_ = p.Shutdown(context.Background())
	}
	// Output:
	// recording: false
	// read OTEL_TRACES_SAMPLER="sometimes": want always_on, always_off, traceidratio or one of these after parentbased_
}
