package metrics

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/controlplane"
	"github.com/warrenmesh/warren/proxy"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait. Normally a wait takes a moment.
const patience = 4 * time.Minute

const declared = `apiVersion: warrenmesh.io/v1alpha1
kind: EventBroker
metadata: {name: main, namespace: shop}
spec: {type: Memory}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: orders, namespace: shop}
spec:
  brokerRef: {name: main}
  publish: {confirmTimeout: 250ms}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventRoute
metadata: {name: orders, namespace: shop}
spec:
  parentRefs: [{kind: EventTopic, name: orders}]
  rules:
  - name: all
    retry: {attempts: 2, on: [confirm-timeout], backoff: {baseInterval: 1ms, maxInterval: 1ms}}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: billing, namespace: shop}
spec:
  topicRef: {name: orders}
  selector: {matchLabels: {app: billing}}
  queue: {prefetch: 1000}
  retry: {attempts: 5, backoff: {baseInterval: 1ms, maxInterval: 1ms}}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: shipping, namespace: shop}
spec:
  topicRef: {name: orders}
  selector: {matchLabels: {app: billing}}
  delivery: {push: {port: %d}}
`

// mesh is a running mesh with the connections of its services.
type mesh struct {
	*testing.T
	memory   *faulty.Broker
	plane    *controlplane.ControlPlane
	checkout *sidecar
	billing  *sidecar
	stream   eventsv1.EventService_SubscribeClient // billing's subscription "billing"
	pushed   chan string                           // ids of the pushed events
}

type sidecar struct {
	*proxy.Proxy
	conn   *grpc.ClientConn
	events eventsv1.EventServiceClient
}

func newMesh(t *testing.T) *mesh {
	t.Helper()
	m := &mesh{T: t, memory: faulty.New(membroker.Options{}), pushed: make(chan string, 4096)}
	t.Cleanup(m.memory.Close)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "shop.yaml"), fmt.Appendf(nil, declared, m.startService()), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	m.plane, err = controlplane.New(controlplane.Options{
		Dir: dir, XDSListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", StatusListen: "127.0.0.1:0",
		Tracing: m.telemetry("warren-controlplane", "controlplane"),
	})
	if err != nil {
		t.Fatal(err)
	}
	m.run(m.plane.Run)
	m.await("the control plane", m.plane.Ready())
	m.checkout, m.billing = m.sidecar("checkout"), m.sidecar("billing")
	m.eventually("billing is ready", m.billing.Ready)
	m.stream = m.subscribe()
	return m
}

// telemetry traces every call, so that there are exemplars, and discards the spans.
func (m *mesh) telemetry(service, component string) *tracing.Provider {
	m.Helper()
	p, err := tracing.Setup(m.Context(), tracing.Options{
		ServiceName: service, Component: component, Version: "v-test", Commit: "c-test", Stdout: io.Discard,
		Getenv: func(name string) string {
			if name == "OTEL_TRACES_EXPORTER" {
				return "console"
			}
			return ""
		},
	})
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil {
			m.Error(err)
		}
	})
	return p
}

// run calls f until the test ends.
func (m *mesh) run(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	m.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			m.Error(err)
		}
	})
}

func (m *mesh) sidecar(workload string) *sidecar {
	m.Helper()
	p, err := proxy.New(proxy.Options{
		Node:         xds.Node{ID: workload + ".shop~1", Namespace: "shop", Workload: workload, Labels: map[string]string{"app": workload}},
		ControlPlane: m.plane.XDSAddr(), Memory: m.memory.Broker,
		Listen: []string{"127.0.0.1:0"}, StatusListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0",
		Tracing: m.telemetry(workload, "sidecar"), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		m.Fatal(err)
	}
	m.run(p.Run)
	m.await("sidecar "+workload, p.Started())
	conn, err := grpc.NewClient(p.EventAddresses()[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() { _ = conn.Close() })
	return &sidecar{Proxy: p, conn: conn, events: eventsv1.NewEventServiceClient(conn)}
}

// handler is the service that is pushed to.
type handler struct {
	eventsv1.UnimplementedEventHandlerServiceServer
	pushed chan<- string
}

// OnEvent implements EventHandlerServiceServer.
func (h handler) OnEvent(_ context.Context, req *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
	h.pushed <- req.GetEvent().GetId()
	return &eventsv1.OnEventResponse{Outcome: eventsv1.Outcome_OUTCOME_ACK}, nil
}

func (m *mesh) startService() (port int) {
	m.Helper()
	l, err := (&net.ListenConfig{}).Listen(m.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		m.Fatal(err)
	}
	server := grpc.NewServer()
	eventsv1.RegisterEventHandlerServiceServer(server, handler{pushed: m.pushed})
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	m.Cleanup(func() { server.Stop(); serving.Wait() })
	return l.Addr().(*net.TCPAddr).Port
}

func (m *mesh) await(what string, c <-chan struct{}) {
	m.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		m.Fatalf("%s did not start", what)
	}
}

func (m *mesh) eventually(what string, check func() error) {
	m.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			m.Fatalf("%s: %v", what, err)
		}
	}
}

// event has a unique value in every attribute that might become a label.
func event(id string) *eventsv1.CloudEvent {
	text := func(s string) *eventsv1.CloudEvent_CloudEventAttributeValue {
		return &eventsv1.CloudEvent_CloudEventAttributeValue{Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: s}}
	}
	return &eventsv1.CloudEvent{
		Id: id, Source: "/checkout/" + id, SpecVersion: "1.0", Type: "com.shop.order." + id,
		Data:       &eventsv1.CloudEvent_TextData{TextData: id},
		Attributes: map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"subject": text("subject-" + id), "partitionkey": text("key-" + id)},
	}
}

func (m *mesh) publish(topic, id string) error {
	ctx, cancel := context.WithTimeout(m.Context(), patience)
	defer cancel()
	_, err := m.checkout.events.Publish(ctx, &eventsv1.PublishRequest{Topic: topic, Event: event(id)})
	return err
}

func (m *mesh) mustPublish(ids ...string) {
	m.Helper()
	for _, id := range ids {
		if err := m.publish("orders", id); err != nil {
			m.Fatal(err)
		}
	}
}

func (m *mesh) subscribe() eventsv1.EventService_SubscribeClient {
	m.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := m.billing.events.Subscribe(ctx)
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() { // reads to the end, so that no goroutine continues
		cancel()
		for err := error(nil); err == nil; _, err = stream.Recv() {
		}
	})
	err = stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{
		Subscription: "billing", InitialCredit: 10_000,
	}}})
	if err != nil {
		m.Fatal(err)
	}
	if res, err := stream.Recv(); err != nil || res.GetReady() == nil {
		m.Fatalf("subscribe: %v, %v", res, err)
	}
	return stream
}

// receive settles the next n deliveries with the outcomes that decide returns.
func (m *mesh) receive(n int, decide func(*eventsv1.Delivery) eventsv1.Outcome) {
	m.Helper()
	for n > 0 {
		res, err := m.stream.Recv()
		if err != nil {
			m.Fatal(err)
		}
		for _, d := range res.GetDeliveries().GetDeliveries() {
			n--
			s := &eventsv1.Settlement{Token: d.GetToken(), Outcome: decide(d)}
			if s.GetOutcome() == eventsv1.Outcome_OUTCOME_RETRY {
				s.RetryAfter = durationpb.New(time.Millisecond)
			}
			err := m.stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{Settle: &eventsv1.SubscribeSettle{
				Settlements: []*eventsv1.Settlement{s},
			}}})
			if err != nil {
				m.Fatal(err)
			}
		}
	}
}

func acked(*eventsv1.Delivery) eventsv1.Outcome { return eventsv1.Outcome_OUTCOME_ACK }

// receivePushed waits for n events that are pushed.
func (m *mesh) receivePushed(n int) {
	m.Helper()
	deadline := time.After(patience)
	for range n {
		select {
		case <-m.pushed:
		case <-deadline:
			m.Fatal("events were not pushed")
		}
	}
}

// day runs a short load: events that are acknowledged, retried and dead-lettered, and
// one whose confirm is late.
func (m *mesh) day() {
	m.Helper()
	m.mustPublish("taken", "retried", "given-up")
	m.receive(4, func(d *eventsv1.Delivery) eventsv1.Outcome {
		switch {
		case d.GetEvent().GetId() == "retried" && d.GetAttempt() == 1:
			return eventsv1.Outcome_OUTCOME_RETRY
		case d.GetEvent().GetId() == "given-up":
			return eventsv1.Outcome_OUTCOME_DEAD_LETTER
		}
		return eventsv1.Outcome_OUTCOME_ACK
	})
	release := m.memory.HoldConfirms()
	if err := m.publish("orders", "late"); err == nil {
		m.Error("a publish without confirms succeeded")
	}
	release()
	m.receive(2, acked) // both tries
	m.receivePushed(5)
}

// scrape requests metrics as Prometheus does.
func (m *mesh) scrape(address string) samples {
	m.Helper()
	return m.scrapePath(address, "/metrics")
}

func (m *mesh) scrapePath(address, path string) samples {
	m.Helper()
	req, err := http.NewRequestWithContext(m.Context(), http.MethodGet, "http://"+address+path, http.NoBody)
	if err != nil {
		m.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		m.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		m.Fatalf("GET %s%s: %s, %v", address, path, resp.Status, err)
	}
	all, err := parse(string(body))
	if err != nil {
		m.Fatal(err)
	}
	return all
}

// scrapeAll scrapes the control plane and both sidecars.
func (m *mesh) scrapeAll() samples {
	m.Helper()
	var all samples
	for _, address := range []string{m.plane.StatusAddr(), m.checkout.StatusAddress(), m.billing.StatusAddress()} {
		all = append(all, m.scrape(address)...)
	}
	return all
}
