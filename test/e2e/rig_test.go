package e2e

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/internal/product"
)

// rig is one test's mesh, with a namespace of its own, and a plain AMQP client.
type rig struct {
	*testing.T
	mesh      *product.Mesh
	namespace string
	conn      *amqp.Connection // of the plain client
	plain     *amqp.Channel

	exchanges, queues []string // to delete
}

// newRig returns a rig on the broker AMQP_URL names. Nothing runs yet.
func newRig(t *testing.T) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a RabbitMQ; not with -short")
	}
	url := os.Getenv("AMQP_URL")
	if url == "" {
		t.Fatal("AMQP_URL is not set: run `make test PACKAGES=./test/e2e`, which sets it")
	}
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatalf("dial the broker: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	plain, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, conn: conn, plain: plain}
	t.Cleanup(r.deleteTopology) // runs after the programs have ended
	r.connect(url)
	return r
}

// connect gives the rig a mesh on the broker at url.
func (r *rig) connect(url string) {
	r.Helper()
	broker, err := product.NewBroker(url)
	if err != nil {
		r.Fatal(err)
	}
	r.namespace = "e2e-" + strings.ToLower(rand.Text()[:10])
	r.mesh = product.NewMesh(r, programs, broker)
}

// deleteTopology removes what the test left on the broker.
func (r *rig) deleteTopology() {
	for _, name := range r.queues {
		if _, err := r.plain.QueueDelete(name, false, false, false); err != nil {
			r.Logf("delete queue %s: %v", name, err)
			return // the channel is closed
		}
	}
	for _, name := range r.exchanges {
		if err := r.plain.ExchangeDelete(name, false, false); err != nil {
			r.Logf("delete exchange %s: %v", name, err)
			return
		}
	}
}

// name is an AMQP name only this test uses.
func (r *rig) name(s string) string { return r.namespace + "." + s }

// topic declares a topic, whose exchange is name(topic).
func (r *rig) topic(topic string, more ...string) string {
	r.exchanges = append(r.exchanges, r.name(topic))
	return fmt.Sprintf(`apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: %s, namespace: %s}
spec:
  brokerRef: {name: main}
  exchange: {name: %s}
  %s
---
`, topic, r.namespace, r.name(topic), strings.Join(more, "\n  "))
}

// subscription is a subscription of workload app to a topic of the same namespace.
type subscription struct {
	name, topic, app string
	attempts         int           // 0 means 1
	backoff          time.Duration // the one delay between attempts
	more             []string      // further lines of the spec
}

// subscription declares one; its queue is name(s.name).
func (r *rig) subscription(s subscription) string {
	queue := r.name(s.name)
	r.queues = append(r.queues, queue, queue+".dead", fmt.Sprintf("%s.retry.%dms", queue, s.backoff.Milliseconds()))
	backoff := max(s.backoff, time.Millisecond)
	return fmt.Sprintf(`apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: %s, namespace: %s}
spec:
  topicRef: {name: %s}
  selector: {matchLabels: {app: %s}}
  retry: {attempts: %d, backoff: {baseInterval: %s, maxInterval: %s}}
  %s
---
`, s.name, r.namespace, s.topic, s.app, max(s.attempts, 1), backoff, backoff, strings.Join(s.more, "\n  "))
}

// start declares objects in shop.yaml, with the broker, and starts the control
// plane.
func (r *rig) start(objects ...string) *product.Process {
	r.Helper()
	r.mesh.Write("shop.yaml", r.mesh.Broker.YAML(r.namespace)+strings.Join(objects, ""))
	return r.mesh.StartControlPlane()
}

// service is a sidecar and the gRPC client of the service beside it.
type service struct {
	*product.RunningSidecar
	eventsv1.EventServiceClient
	rig *rig
}

// service starts a workload's sidecar and waits until it is ready.
func (r *rig) service(workload string) *service {
	r.Helper()
	s := r.run(product.Sidecar{Workload: workload, Env: []string{"WARREN_ADMIN_QUIT=true"}})
	s.AwaitReady()
	return s
}

// run starts a workload's sidecar in the rig's namespace.
func (r *rig) run(spec product.Sidecar) *service {
	r.Helper()
	spec.Namespace = r.namespace
	sidecar := r.mesh.StartSidecar(spec)
	return &service{RunningSidecar: sidecar, EventServiceClient: eventsv1.NewEventServiceClient(sidecar.Dial(sidecar.Socket)), rig: r}
}
