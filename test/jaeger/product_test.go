//go:build jaeger

package jaeger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// hop is a span that the trace of an order must have.
type hop struct {
	service   string // service.name of the resource
	name      string
	kind      string
	component string // warren.component: "sidecar", or "" for the service itself
}

// hops are the spans of one order. Each is below the one before it. Spans of gRPC may
// be between two of them, but not where the broker is: the parent of a process span is
// the publish span.
var hops = []hop{
	{"checkout", "place order", "internal", ""},
	{"checkout", "publish orders", "producer", "sidecar"},
	{"billing", "process orders", "consumer", "sidecar"},
	{"billing", "bill order", "internal", ""},
	{"billing", "publish invoices", "producer", "sidecar"},
	{"audit", "process invoices", "consumer", "sidecar"},
	{"audit", "audit event", "internal", ""},
}

// TestAnOrderIsOneTraceFromCheckoutToAudit runs the built product and the shop's
// services on a real RabbitMQ, and checks what a real Jaeger shows.
func TestAnOrderIsOneTraceFromCheckoutToAudit(t *testing.T) {
	t.Parallel()
	jaeger := start(t)
	shop := openShop(t, jaeger)
	id := shop.placeOrders(20)

	got := eventually(t, jaeger, "/api/traces/"+id, func(traces []trace) bool {
		return len(traces) == 1 && !slices.ContainsFunc(hops, func(h hop) bool { return traces[0].hop(h) == nil })
	})[0]
	checkHops(t, &got)
	checkMessaging(t, &got)

	services := eventually(t, jaeger, "/api/services", func(names []string) bool { return len(names) >= 3 })
	slices.Sort(services)
	if want := []string{"audit", "billing", "checkout"}; !slices.Equal(services, want) {
		t.Errorf("Jaeger lists the services %v, want the shop's own names %v", services, want)
	}
	eventually(t, jaeger, fmt.Sprintf("/api/dependencies?endTs=%d&lookback=3600000", time.Now().Add(time.Minute).UnixMilli()),
		func(edges []edge) bool {
			return hasEdge(edges, "checkout", "billing") && hasEdge(edges, "billing", "audit")
		})
}

// checkHops follows the parents from each hop to the one before it.
func checkHops(t *testing.T, got *trace) {
	t.Helper()
	for i, h := range hops {
		s := got.hop(h)
		if kind := s.tag("span.kind"); kind != h.kind && (kind != nil || h.kind != "internal") {
			t.Errorf("%s: %s is of kind %v, want %s", h.service, h.name, kind, h.kind)
		}
		if i == 0 {
			if s.parent() != "" {
				t.Errorf("%s: %s has a parent, want the root", h.service, h.name)
			}
			continue
		}
		above := got.hop(hops[i-1])
		between := got.between(s, above)
		switch {
		case between == nil:
			t.Errorf("%s: %s is not below %s of %s in %v", h.service, h.name, above.OperationName, hops[i-1].service, got)
		case h.kind == "consumer" && len(between) > 1:
			t.Errorf("%s: %s is below %v, want it right below %s", h.service, h.name, between, above.OperationName)
		}
		for _, name := range between[:max(0, len(between)-1)] {
			if !strings.HasPrefix(name, "warren.events.v1.") {
				t.Errorf("%s: between %s and %s there is %s", h.service, above.OperationName, h.name, name)
			}
		}
	}
}

// checkMessaging checks the attributes that a user looks for on the spans next to the
// broker.
func checkMessaging(t *testing.T, got *trace) {
	t.Helper()
	order, ok := got.hop(hops[1]).tag("cloudevents.event_id").(string)
	if !ok || order == "" {
		t.Errorf("%s has no cloudevents.event_id", hops[1].name)
	}
	for i, event := range map[int]string{1: order, 2: order, 4: order + "-invoice", 5: order + "-invoice"} {
		s := got.hop(hops[i])
		if s.tag("cloudevents.event_id") != event || s.tag("messaging.system") != "rabbitmq" {
			t.Errorf("%s: %s is of event %v and system %v, want event %s and rabbitmq", hops[i].service, hops[i].name,
				s.tag("cloudevents.event_id"), s.tag("messaging.system"), event)
		}
	}
}
