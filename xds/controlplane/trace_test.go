package controlplane

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func TestEverySetThatIsAppliedIsASpan(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	dir := shopDir(t)
	cp := launch(t, dir, func(o *Options) { o.TracerProvider = provider })
	wait(t, "ready", cp.Ready())
	edit(t, dir, map[string]string{"routes.yaml": routeYAML(0, 0)})
	eventually(t, "two sets were applied", func() bool { return len(spans.GetSpans()) == 2 })
	good, bad := spans.GetSpans()[0], spans.GetSpans()[1]
	if good.Name != "apply configuration" || good.Status.Code == codes.Error {
		t.Errorf("the good set: got %q, %v", good.Name, good.Status)
	}
	if bad.Status.Code != codes.Error || !strings.Contains(bad.Status.Description, "routes.yaml:8: spec.rules[0].backendRefs: has weights that sum to 0") {
		t.Errorf("the broken set: got %v", bad.Status)
	}
}
