//go:build jaeger

package jaeger

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/internal/product"
)

// declared is the shop's configuration without its canary: %[1]s is the namespace,
// %[2]s the port that billing's events are pushed to. Exchanges and queues are named
// after the namespace, so that the broker may be shared.
const declared = `apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: orders, namespace: %[1]s}
spec: {brokerRef: {name: main}, exchange: {name: %[1]s.orders}}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: invoices, namespace: %[1]s}
spec: {brokerRef: {name: main}, exchange: {name: %[1]s.invoices}}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: billing, namespace: %[1]s}
spec:
  topicRef: {name: orders}
  selector: {matchLabels: {app: billing}}
  delivery: {push: {port: %[2]s}}
  retry: {attempts: 1}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: audit-invoices, namespace: %[1]s}
spec:
  topicRef: {name: invoices}
  selector: {matchLabels: {app: audit}}
  retry: {attempts: 1}
`

// shop runs the control plane, and checkout, billing and audit with a sidecar each. All
// send their spans to jaeger.
type shop struct {
	*testing.T
	jaeger    *server
	mesh      *product.Mesh
	broker    *amqp.Connection
	namespace string
	dir       string
}

// openShop starts everything except checkout.
func openShop(t *testing.T, jaeger *server) *shop {
	t.Helper()
	url := os.Getenv("AMQP_URL")
	if url == "" {
		t.Fatal("AMQP_URL is not set: run by `make test-jaeger`, which provides a RabbitMQ")
	}
	broker, err := product.NewBroker(url)
	if err != nil {
		t.Fatal(err)
	}
	s := &shop{T: t, jaeger: jaeger, dir: t.TempDir(), namespace: "jaeger-" + strings.ToLower(rand.Text()[:10])}
	if s.broker, err = amqp.Dial(url); err != nil {
		t.Fatalf("dial the broker: %v", err)
	}
	t.Cleanup(s.deleteTopology) // runs after the programs have ended
	s.mesh = product.NewMesh(t, programs, broker)
	pushed := freeAddress(t)
	_, port, err := net.SplitHostPort(pushed)
	if err != nil {
		t.Fatal(err)
	}
	s.mesh.Write("shop.yaml", broker.YAML(s.namespace)+fmt.Sprintf(declared, s.namespace, port))
	s.mesh.StartControlPlane()
	s.service("billing", "--listen", pushed)
	s.service("audit")
	return s
}

func (s *shop) deleteTopology() {
	defer func() { _ = s.broker.Close() }()
	ch, err := s.broker.Channel()
	if err != nil {
		s.Errorf("delete topology: %v", err)
		return
	}
	for _, queue := range []string{"billing", "billing.dead", "audit-invoices", "audit-invoices.dead"} {
		if _, err := ch.QueueDelete(s.namespace+"."+queue, false, false, false); err != nil {
			s.Errorf("delete queue %s: %v", queue, err)
		}
	}
	for _, exchange := range []string{"orders", "invoices"} {
		if err := ch.ExchangeDelete(s.namespace+"."+exchange, false, false); err != nil {
			s.Errorf("delete exchange %s: %v", exchange, err)
		}
	}
}

// environment makes a program send its spans to Jaeger without much delay.
func (s *shop) environment() []string {
	return []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + s.jaeger.otlp, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
		"OTEL_METRICS_EXPORTER=none", "OTEL_BSP_SCHEDULE_DELAY=200",
	}
}

// service starts a service and the sidecar beside it.
func (s *shop) service(name string, args ...string) *product.Process {
	s.Helper()
	sidecar := s.mesh.StartSidecar(product.Sidecar{Namespace: s.namespace, Workload: name, Env: s.environment()})
	sidecar.AwaitReady()
	return product.Run(s, product.Spec{
		Name: name, Path: programs.Path(name), Env: s.environment(), MayEnd: name == "checkout",
		Args: append([]string{"--sidecar", sidecar.TCP, "--journal", s.journal(name)}, args...),
	})
}

func (s *shop) journal(name string) string { return filepath.Join(s.dir, name+".ndjson") }

// placeOrders runs checkout until it ends. It returns the trace of its last order,
// which is in checkout's journal.
func (s *shop) placeOrders(n int) (traceID string) {
	s.Helper()
	s.service("checkout", "--count", fmt.Sprint(n), "--rate", "0", "--run", s.namespace)
	product.Eventually(s, "checkout has placed its orders", func() error {
		confirmed := 0
		for _, line := range s.read("checkout") {
			switch line.What {
			case "failed":
				s.Fatalf("an order failed: %s", line.Error)
			case "confirmed":
				confirmed++
				traceID = line.Trace
			}
		}
		if confirmed < n {
			return fmt.Errorf("%d of %d are confirmed", confirmed, n)
		}
		return nil
	})
	return traceID
}

// line holds the fields of a journal line that this test reads.
type line struct{ What, Trace, Error string }

func (s *shop) read(name string) []line {
	s.Helper()
	file, err := os.Open(s.journal(name))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		s.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	var lines []line
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		var l line
		if json.Unmarshal(scanner.Bytes(), &l) == nil { // the last line may be incomplete
			lines = append(lines, l)
		}
	}
	return lines
}
