package boot_test

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/controlplane"
	"github.com/warrenmesh/warren/proxy"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/configuration"
	"github.com/warrenmesh/warren/tracing/tracingtest"
	"github.com/warrenmesh/warren/xds"
)

// traced is a product whose control plane and sidecars record spans.
type traced struct {
	*product
	planeSpans *tracingtest.Recorder
	spans      map[string]*tracingtest.Recorder // by workload
	sidecars   map[string]*sidecar
}

func startTraced(t *testing.T, workloads ...string) *traced {
	t.Helper()
	p := &traced{product: newProduct(t, membroker.Options{}), spans: map[string]*tracingtest.Recorder{}, sidecars: map[string]*sidecar{}}
	provider, spans := tracingtest.New(t, tracing.Options{Component: "controlplane"})
	p.planeSpans = spans
	p.startPlane(controlplane.Options{Tracing: provider})
	for _, workload := range workloads {
		p.add(workload)
	}
	return p
}

// add starts a sidecar that uses the topic orders.
func (p *traced) add(workload string) {
	p.t.Helper()
	provider, spans := tracingtest.New(p.t, tracing.Options{Component: "sidecar", ServiceName: workload})
	px, err := proxy.New(proxy.Options{
		Node:         xds.Node{ID: workload + "~traced", Namespace: "shop", Workload: workload, Labels: map[string]string{"app": workload}},
		ControlPlane: p.plane.XDSAddr(), Memory: p.memory.Broker, Listen: []string{"127.0.0.1:0"}, ReadyRequiresBroker: true, Tracing: provider, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	s := &sidecar{Proxy: px, stop: p.run(px.Run)}
	wait(p.t, "sidecar "+workload, px.Started())
	s.conn = dial(p.t, px.EventAddresses()[0])
	s.events = eventsv1.NewEventServiceClient(s.conn)
	// The topic can be there before the queue of a subscription is bound to it.
	eventually(p.t, "a first event has a route", func() error {
		_, err := s.publish(p.t.Context(), "orders", "warm-up of "+workload)
		return err
	})
	p.spans[workload], p.sidecars[workload] = spans, s
}

// changes returns the root spans that have ended.
func (p *traced) changes() []tracingtest.Span {
	return named(p.planeSpans.Spans(), configuration.SpanChange)
}

func named(spans []tracingtest.Span, name string) []tracingtest.Span {
	return slices.DeleteFunc(spans, func(s tracingtest.Span) bool { return s.Name != name })
}

// below returns the spans of a trace by the id of their parent's span.
func below(spans []tracingtest.Span, parent tracingtest.Span) []tracingtest.Span {
	return slices.DeleteFunc(spans, func(s tracingtest.Span) bool {
		return s.Context.TraceID() != parent.Context.TraceID() || s.Parent.SpanID() != parent.Context.SpanID()
	})
}

// answers waits until each workload has answered the newest change. It returns the span
// of the change and the push spans by workload.
func (p *traced) answers(before int, workloads ...string) (tracingtest.Span, map[string][]tracingtest.Span) {
	p.t.Helper()
	var change tracingtest.Span
	var pushes map[string][]tracingtest.Span
	eventually(p.t, "every sidecar has answered", func() error {
		all := p.changes()
		if len(all) <= before {
			return fmt.Errorf("%d changes", len(all))
		}
		change, pushes = all[len(all)-1], map[string][]tracingtest.Span{}
		for _, s := range named(below(p.planeSpans.Spans(), change), configuration.SpanPush) {
			workload, _ := s.Attrs["warren.workload"].(string)
			pushes[workload] = append(pushes[workload], s)
		}
		if got := slices.Sorted(maps.Keys(pushes)); !slices.Equal(got, workloads) {
			return fmt.Errorf("answers of %v, want %v", got, workloads)
		}
		return nil
	})
	return change, pushes
}

func TestConfigChangeAsATraceFromTheFileToEveryAnswer(t *testing.T) {
	t.Parallel()
	p := startTraced(t, "billing", "checkout")
	before := len(p.changes())
	p.write("route.yaml", routeYAML(0, 1))
	change, pushes := p.answers(before, "shop/billing", "shop/checkout")

	if change.Parent.IsValid() || change.Failed || change.Attrs["warren.component"] != "controlplane" {
		t.Errorf("the root: %+v", change)
	}
	if version := p.status().GetVersion(); change.Attrs["warren.mesh.version"] != version {
		t.Errorf("the root has version %v, in force is %s", change.Attrs["warren.mesh.version"], version)
	}
	for _, name := range []string{configuration.SpanRead, configuration.SpanResolve} {
		if got := named(below(p.planeSpans.Spans(), change), name); len(got) != 1 || got[0].Failed {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, workload := range []string{"billing", "checkout"} {
		answered := pushes["shop/"+workload]
		if len(answered) != 1 {
			t.Fatalf("%s has %d answers in the trace, want one: %+v", workload, len(answered), answered)
		}
		push := answered[0]
		if push.Failed || push.Attrs["warren.sidecar"] != workload+"~traced" || push.Attrs["warren.resource.type"] != "RouteConfiguration" {
			t.Errorf("the answer of %s: %+v", workload, push)
		}
		applied := named(below(p.spans[workload].Spans(), push), configuration.SpanApply)
		if len(applied) != 1 || applied[0].Attrs["warren.component"] != "sidecar" {
			t.Fatalf("what %s applied below its push: %+v", workload, applied)
		}
		version := p.sidecars[workload].ConfigDump().GetVersion()
		if applied[0].Attrs["warren.config.version"] != version {
			t.Errorf("%s applied %v and runs on %s", workload, applied[0].Attrs["warren.config.version"], version)
		}
	}

	res, err := p.sidecars["checkout"].publish(t.Context(), "orders", "after")
	if err != nil || res.GetTopic() != "shop/orders-next" {
		t.Fatalf("publish after the change: %v, %v", res, err)
	}
	publish := p.spans["checkout"].Only("publish orders-next")
	if want := p.sidecars["checkout"].ConfigDump().GetVersion(); publish.Attrs["warren.config.version"] != want {
		t.Errorf("the publish span has version %v, want %s", publish.Attrs["warren.config.version"], want)
	}
}

// lateYAML is a subscription of billing on a broker of its own.
const lateYAML = `apiVersion: warrenmesh.io/v1alpha1
kind: EventBroker
metadata: {name: late, namespace: shop}
spec: {type: Memory}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: late-orders, namespace: shop}
spec:
  brokerRef: {name: late}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: late-billing, namespace: shop}
spec:
  topicRef: {name: late-orders}
  selector: {matchLabels: {app: billing}}
`

func TestConfigChangeAsATraceHoldsWhatFollowsFromIt(t *testing.T) {
	t.Parallel()
	p := startTraced(t, "billing")
	before := len(p.changes())
	// The sidecar does not know the broker of this subscription yet. It requests the
	// broker when it has the subscription, and applies both together.
	p.write("late.yaml", lateYAML)
	eventually(t, "the sidecar applied the subscription", func() error {
		if n := len(named(p.spans["billing"].Spans(), configuration.SpanApply)); n != 1 {
			return fmt.Errorf("%d applications", n)
		}
		return nil
	})
	change, pushes := p.answers(before, "shop/billing")
	applied := p.spans["billing"].Only(configuration.SpanApply)
	if applied.Context.TraceID() != change.Context.TraceID() {
		t.Error("the application is in another trace")
	}
	var types []string
	eventually(t, "all is answered", func() error {
		_, pushes = p.answers(before, "shop/billing")
		types = nil
		for _, s := range pushes["shop/billing"] {
			kind, _ := s.Attrs["warren.resource.type"].(string)
			types = append(types, kind)
		}
		if !slices.Contains(types, "Listener") || !slices.Contains(types, "Cluster") {
			return fmt.Errorf("answers for %v", types)
		}
		return nil
	})
}

func TestConfigChangeAsATraceEndsWithTheChange(t *testing.T) {
	t.Parallel()
	p := startTraced(t, "billing")
	before := len(p.changes())
	p.write("route.yaml", strings.Replace(routeYAML(0, 1), "weight: 1", "weihgt: 1", 1))
	eventually(t, "the broken edit is a failed trace", func() error {
		all := p.changes()
		if len(all) <= before || !all[len(all)-1].Failed {
			return fmt.Errorf("changes: %+v", all)
		}
		return nil
	})
	broken := p.changes()[len(p.changes())-1]
	if !strings.Contains(broken.Status, "route.yaml:10") || broken.Attrs["warren.mesh.version"] != nil {
		t.Errorf("the broken edit: %+v", broken)
	}
	// A sidecar that starts later receives the same resources, but not because of a
	// change.
	p.add("checkout")
	if got := named(p.planeSpans.Spans(), configuration.SpanPush); len(got) > 0 {
		t.Errorf("pushes that no change made due are traced: %+v", got)
	}
	if got := named(p.spans["checkout"].Spans(), configuration.SpanApply); len(got) > 0 {
		t.Errorf("the start of a sidecar is traced as a change: %+v", got)
	}
}
