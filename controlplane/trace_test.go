package controlplane

import (
	"strings"
	"testing"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/configuration"
	"github.com/warrenmesh/warren/tracing/tracingtest"
)

func TestEverySetThatIsReadIsATrace(t *testing.T) {
	t.Parallel()
	provider, spans := tracingtest.New(t, tracing.Options{Component: "controlplane"})
	dir := shopDir(t)
	cp := launch(t, dir, func(o *Options) { o.Tracing = provider })
	wait(t, "ready", cp.Ready())
	edit(t, dir, map[string]string{"routes.yaml": routeYAML(0, 0)})
	changes := func() (out []tracingtest.Span) {
		for _, s := range spans.Spans() {
			if s.Name == configuration.SpanChange {
				out = append(out, s)
			}
		}
		return out
	}
	eventually(t, "two sets were read", func() bool { return len(changes()) == 2 })
	good, bad := changes()[0], changes()[1]
	if good.Failed || good.Attrs["warren.mesh.version"] == nil || good.Attrs["warren.config.objects"] == int64(0) {
		t.Errorf("the good set: %+v", good)
	}
	if !bad.Failed || !strings.Contains(bad.Status, "routes.yaml:8: spec.rules[0].backendRefs: has weights that sum to 0") || bad.Attrs["warren.mesh.version"] != nil {
		t.Errorf("the broken set: %+v", bad)
	}
	for _, change := range []tracingtest.Span{good, bad} {
		var below []string
		for _, s := range spans.Spans() {
			if s.Parent.SpanID() == change.Context.SpanID() {
				below = append(below, s.Name)
			}
		}
		if got := strings.Join(below, ", "); got != "read configuration, resolve configuration" {
			t.Errorf("below %q: %s", change.Status, got)
		}
	}
}
