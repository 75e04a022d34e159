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

// rig is the mesh of one test, with a namespace of its own, and a plain AMQP client.
type rig struct {
	*testing.T
	mesh      *product.Mesh
	namespace string
	conn      *amqp.Connection // of the plain client
	plain     *amqp.Channel

	exchanges, queues []string // to delete
}

// newRig returns a rig on the broker that AMQP_URL names. It starts no process.
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

// deleteTopology deletes the exchanges and queues of the test.
func (r *rig) deleteTopology() {
	for _, name := range r.queues {
		if _, err := r.plain.QueueDelete(name, false, false, false); err != nil {
			r.Logf("delete queue %s: %v", name, err)
			return // an error closes the channel
		}
	}
	for _, name := range r.exchanges {
		if err := r.plain.ExchangeDelete(name, false, false); err != nil {
			r.Logf("delete exchange %s: %v", name, err)
			return
		}
	}
}

// name is an AMQP name that only this test uses.
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
	backoff          time.Duration // base and maximum of the backoff
	more             []string      // more lines of the spec
}

// subscription declares a subscription. Its queue is name(s.name).
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

// start writes the broker and objects to shop.yaml and starts the control plane.
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
