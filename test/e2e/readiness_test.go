package e2e

import (
	"fmt"
	"testing"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/warrenmesh/warren/test/internal/product"
)

func TestASidecarIsReadyWithoutItsBrokerAndSaysWhatDoesNotWork(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mesh.WriteCredentials("nobody", "wrong")
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing"}))
	billing := r.run(product.Sidecar{Workload: "billing", Env: []string{"WARREN_READY_REQUIRES_BROKER=false", "WARREN_TOPIC=orders"}})
	billing.AwaitReady()

	health := healthv1.NewHealthClient(billing.Dial(billing.Socket))
	says := func(name string, want healthv1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		product.Eventually(t, fmt.Sprintf("health of %q is %s", name, want), func() error {
			answer, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{Service: name})
			if err == nil && answer.GetStatus() != want {
				err = fmt.Errorf("it is %s", answer.GetStatus())
			}
			return err
		})
	}
	topic, subscription := "topic/"+r.namespace+"/orders", "subscription/"+r.namespace+"/billing"
	says("", healthv1.HealthCheckResponse_SERVING)
	says(topic, healthv1.HealthCheckResponse_NOT_SERVING)
	says(subscription, healthv1.HealthCheckResponse_NOT_SERVING)

	strict := r.run(product.Sidecar{Workload: "strict", Env: []string{"WARREN_TOPIC=orders"}}) // without, it needs no broker
	if err := strict.Ready(t.Context()); err == nil {
		t.Error("a sidecar that requires its broker is ready without")
	}
	r.mesh.WriteCredentials(r.mesh.Broker.Username(), r.mesh.Broker.Password())
	says(topic, healthv1.HealthCheckResponse_SERVING)
	says(subscription, healthv1.HealthCheckResponse_SERVING)
	says("", healthv1.HealthCheckResponse_SERVING)
}
