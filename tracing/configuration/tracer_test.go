package configuration_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/configuration"
	"github.com/warrenmesh/warren/tracing/tracecontext"
	"github.com/warrenmesh/warren/tracing/tracingtest"
)

func TestAChangeOfConfigurationIsOneTrace(t *testing.T) {
	t.Parallel()
	plane, planeSpans := tracingtest.New(t, tracing.Options{Component: "controlplane"})
	sidecar, sidecarSpans := tracingtest.New(t, tracing.Options{Component: "sidecar"})
	began := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

	ctx, change := plane.Configuration().StartChange(t.Context(), configuration.Change{Objects: 3, Began: began, Read: began.Add(time.Millisecond)})
	_, resolve := plane.Configuration().StartResolve(ctx)
	resolve.End(nil)
	change.SetMeshVersion("v2")
	push := plane.Configuration().StartPush(change.Hop(), configuration.Push{
		Version: "v2", Sidecar: "billing.shop~1", Workload: "shop/billing", Type: "RouteConfiguration", Resources: []string{"topic/shop/orders"},
	})
	change.End(nil)
	apply := sidecar.Configuration().StartApply(push.Hop(), "9d81")
	apply.End(nil)
	push.End(errors.New("regex is not supported"))

	root := planeSpans.Only(configuration.SpanChange)
	if root.Parent.IsValid() || root.Attrs["warren.mesh.version"] != "v2" || root.Attrs["warren.config.objects"] != int64(3) || root.Attrs["warren.component"] != "controlplane" {
		t.Errorf("the root: %+v", root)
	}
	pushed := planeSpans.Only(configuration.SpanPush)
	for _, s := range []tracingtest.Span{planeSpans.Only(configuration.SpanRead), planeSpans.Only(configuration.SpanResolve), pushed} {
		if s.Parent.SpanID() != root.Context.SpanID() {
			t.Errorf("%s is not below the change", s.Name)
		}
	}
	if !pushed.Failed || pushed.Status != "regex is not supported" || pushed.Kind != trace.SpanKindClient ||
		pushed.Attrs["warren.sidecar"] != "billing.shop~1" || pushed.Attrs["warren.resource.count"] != int64(1) {
		t.Errorf("the refused push: %+v", pushed)
	}
	applied := sidecarSpans.Only(configuration.SpanApply)
	if applied.Parent.SpanID() != pushed.Context.SpanID() || applied.Context.TraceID() != root.Context.TraceID() ||
		applied.Attrs["warren.config.version"] != "9d81" || applied.Attrs["warren.component"] != "sidecar" || applied.Kind != trace.SpanKindServer {
		t.Errorf("what the sidecar did: %+v", applied)
	}
}

func TestAPushListsSomeNamesAndCountsAll(t *testing.T) {
	t.Parallel()
	provider, spans := tracingtest.New(t, tracing.Options{})
	var names []string
	for i := range 100 {
		names = append(names, strconv.Itoa(i))
	}
	_, change := provider.Configuration().StartChange(t.Context(), configuration.Change{})
	provider.Configuration().StartPush(change.Hop(), configuration.Push{Resources: names}).End(nil)
	push := spans.Only(configuration.SpanPush)
	listed, _ := push.Attrs["warren.resource.names"].([]string)
	if !slices.Equal(listed, names[:16]) || push.Attrs["warren.resource.count"] != int64(100) {
		t.Errorf("lists %v of %v", listed, push.Attrs["warren.resource.count"])
	}
}

func TestAnApplicationWithoutAChangeIsNoSpan(t *testing.T) {
	t.Parallel()
	provider, spans := tracingtest.New(t, tracing.Options{})
	provider.Configuration().StartApply(tracecontext.Hop{}, "v1").End(nil)
	var none *configuration.Tracer
	none.StartApply(tracecontext.Hop{Parent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, "v1").End(nil)
	_, span := none.StartChange(t.Context(), configuration.Change{})
	span.SetMeshVersion("v1")
	none.StartPush(span.Hop(), configuration.Push{}).End(nil)
	tracing.Disabled().Configuration().StartPush(span.Hop(), configuration.Push{}).End(nil)
	if got := spans.Spans(); len(got) > 0 {
		t.Errorf("spans: %+v", got)
	}
}
