//go:build jaeger

package jaeger

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/internal/product"
)

// inMemory is a mesh without RabbitMQ: the test is about its configuration.
const inMemory = `apiVersion: warrenmesh.io/v1alpha1
kind: EventBroker
metadata: {name: main, namespace: shop}
spec: {type: Memory}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: orders, namespace: shop}
spec: {brokerRef: {name: main}, publish: {mandatory: false}}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: orders-next, namespace: shop}
spec: {brokerRef: {name: main}, publish: {mandatory: false}}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventRoute
metadata: {name: canary, namespace: shop}
spec:
  parentRefs: [{kind: EventTopic, name: orders}]
  rules:
  - name: all
    backendRefs:
    - {kind: EventTopic, name: orders, weight: %d}
    - {kind: EventTopic, name: orders-next, weight: %d}
`

const planeService = "warren-controlplane"

// TestConfigChangeAsATraceInJaeger edits a file of a running mesh and checks what
// Jaeger shows: the control plane that read it, the sidecars that it was pushed to and
// that applied it, and an event that was published with it.
func TestConfigChangeAsATraceInJaeger(t *testing.T) {
	t.Parallel()
	jaeger := start(t)
	env := (&shop{jaeger: jaeger}).environment()
	broker, err := product.NewBroker("amqp://guest:guest@127.0.0.1:5672/") // no process connects to it
	if err != nil {
		t.Fatal(err)
	}
	mesh := product.NewMesh(t, programs, broker)
	mesh.Write("shop.yaml", fmt.Sprintf(inMemory, 1, 0))
	mesh.StartControlPlane(env...)
	workloads := []string{"audit", "billing"}
	events := map[string]eventsv1.EventServiceClient{}
	for _, workload := range workloads {
		sidecar := mesh.StartSidecar(product.Sidecar{Namespace: "shop", Workload: workload, Env: env})
		sidecar.AwaitReady()
		events[workload] = eventsv1.NewEventServiceClient(sidecar.Dial(sidecar.TCP))
		publishTo(t, events[workload], "shop/orders") // a sidecar requests a topic at its first use
	}
	mesh.Write("shop.yaml", fmt.Sprintf(inMemory, 0, 1))

	query := "/api/traces?service=" + planeService + "&operation=" + url.QueryEscape("push configuration")
	change := eventually(t, jaeger, query, func(traces []trace) bool {
		return len(traces) == 1 && !slices.ContainsFunc(workloads, func(w string) bool { return traces[0].find(w, "apply configuration") == nil }) &&
			traces[0].find(planeService, "change configuration") != nil &&
			strings.Count(traces[0].String(), "push configuration") >= len(workloads) // one span for each, which are exported later
	})[0]
	root := change.find(planeService, "change configuration")
	if root.parent() != "" {
		t.Errorf("the change has a parent in %v", change)
	}
	for _, name := range []string{"read configuration", "resolve configuration"} {
		if s := change.find(planeService, name); s == nil || s.parent() != root.SpanID {
			t.Errorf("%s is not right below the change in %v", name, change)
		}
	}
	if n := strings.Count(change.String(), "push configuration"); n != len(workloads) {
		t.Errorf("%d answers, want one for each of %v: %v", n, workloads, change)
	}
	for _, workload := range workloads {
		applied := change.find(workload, "apply configuration")
		if got := change.between(applied, root); !slices.Equal(got, []string{"push configuration", "change configuration"}) {
			t.Errorf("above what %s applied is %v", workload, got)
		}
		version, _ := applied.tag("warren.config.version").(string)
		product.Eventually(t, workload+" publishes by the new configuration", func() error {
			if to := publishTo(t, events[workload], "shop/orders"); to != "shop/orders-next" {
				return fmt.Errorf("published to %s", to)
			}
			return nil
		})
		tags := url.QueryEscape(fmt.Sprintf(`{"warren.config.version":%q}`, version))
		eventually(t, jaeger, "/api/traces?service="+workload+"&operation="+url.QueryEscape("publish orders-next")+"&tags="+tags,
			func(traces []trace) bool { return version != "" && len(traces) > 0 })
	}
}

// publishTo publishes an event and returns the topic it went to.
func publishTo(t *testing.T, c eventsv1.EventServiceClient, topic string) string {
	t.Helper()
	res, err := c.Publish(t.Context(), &eventsv1.PublishRequest{Topic: topic, Event: &eventsv1.CloudEvent{
		Id: "1", Source: "/test", SpecVersion: "1.0", Type: "com.shop.order.placed",
	}})
	if err != nil {
		t.Fatalf("publish: %v", err)
	}
	return res.GetTopic()
}
