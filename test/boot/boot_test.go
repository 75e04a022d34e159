// Package boot_test starts the whole product in one process: the control plane on a
// directory of YAML, and two sidecars on the in-process broker. The tests use it as
// services do.
package boot_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/controlplane"
	"github.com/warrenmesh/warren/proxy"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/xds"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const brokerYAML = `apiVersion: warrenmesh.io/v1alpha1
kind: EventBroker
metadata: {name: main, namespace: shop}
spec: {type: Memory}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: orders, namespace: shop}
spec:
  brokerRef: {name: main}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventTopic
metadata: {name: orders-next, namespace: shop}
spec:
  brokerRef: {name: main}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: billing, namespace: shop}
spec:
  topicRef: {name: orders}
  selector: {matchLabels: {app: billing}}
---
apiVersion: warrenmesh.io/v1alpha1
kind: EventSubscription
metadata: {name: billing-next, namespace: shop}
spec:
  topicRef: {name: orders-next}
  selector: {matchLabels: {app: billing}}
`

func routeYAML(old, next int) string {
	return fmt.Sprintf(`apiVersion: warrenmesh.io/v1alpha1
kind: EventRoute
metadata: {name: canary, namespace: shop}
spec:
  parentRefs: [{kind: EventTopic, name: orders}]
  rules:
  - name: all
    backendRefs:
    - {kind: EventTopic, name: orders, weight: %d}
    - {kind: EventTopic, name: orders-next, weight: %d}
`, old, next)
}

// product is a running control plane with its directory and broker.
type product struct {
	t      *testing.T
	dir    string
	plane  *controlplane.ControlPlane
	memory *faulty.Broker
	stop   func() // ends the control plane
}

func start(t *testing.T) *product {
	t.Helper()
	return startOn(t, membroker.Options{})
}

func startOn(t *testing.T, broker membroker.Options) *product {
	t.Helper()
	p := newProduct(t, broker)
	p.startPlane(controlplane.Options{})
	return p
}

// newProduct is a product in which no process runs yet.
func newProduct(t *testing.T, broker membroker.Options) *product {
	t.Helper()
	p := &product{t: t, dir: t.TempDir(), memory: faulty.New(broker)}
	t.Cleanup(p.memory.Close)
	p.write("broker.yaml", brokerYAML)
	p.write("route.yaml", routeYAML(1, 0))
	return p
}

// startPlane starts the control plane on addresses of its own.
func (p *product) startPlane(opts controlplane.Options) {
	p.t.Helper()
	opts.Dir, opts.Logger = p.dir, slog.New(slog.DiscardHandler)
	opts.XDSListen, opts.AdminListen, opts.StatusListen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	var err error
	p.plane, err = controlplane.New(opts)
	if err != nil {
		p.t.Fatal(err)
	}
	p.stop = p.run(p.plane.Run)
	wait(p.t, "the control plane", p.plane.Ready())
}

// run calls f until the returned function or the test's end stops it.
func (p *product) run(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); err != nil {
			p.t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	p.t.Cleanup(stop)
	return stop
}

// write replaces a file as editors do: it renames a new file over the old one.
func (p *product) write(name, text string) {
	p.t.Helper()
	temp := filepath.Join(p.dir, "."+name+".tmp")
	if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(temp, filepath.Join(p.dir, name)); err != nil {
		p.t.Fatal(err)
	}
}

// sidecar is a running sidecar and a service's connection to it.
type sidecar struct {
	*proxy.Proxy
	events eventsv1.EventServiceClient
	conn   *grpc.ClientConn
	stop   func()
}

func (p *product) sidecar(workload, state string, change ...func(*proxy.Options)) *sidecar {
	p.t.Helper()
	opts := proxy.Options{
		Node:         xds.Node{ID: workload + "~" + p.t.Name(), Namespace: "shop", Workload: workload, Labels: map[string]string{"app": workload}},
		ControlPlane: p.plane.XDSAddr(), StateDir: state, Memory: p.memory.Broker,
		Listen:       []string{"127.0.0.1:0", "unix:" + filepath.Join(p.t.TempDir(), "w.sock")},
		StatusListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", ReadyRequiresBroker: true,
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&opts)
	}
	px, err := proxy.New(opts)
	if err != nil {
		p.t.Fatal(err)
	}
	s := &sidecar{Proxy: px, stop: p.run(px.Run)}
	wait(p.t, "sidecar "+workload, px.Started())
	s.conn = dial(p.t, px.EventAddresses()[1])
	s.events = eventsv1.NewEventServiceClient(s.conn)
	return s
}

func dial(t *testing.T, target string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not start", what)
	}
}

func eventually(t *testing.T, what string, ok func() error) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func (s *sidecar) publish(ctx context.Context, topic, id string) (*eventsv1.PublishResponse, error) {
	return s.events.Publish(ctx, &eventsv1.PublishRequest{Topic: topic, Event: &eventsv1.CloudEvent{
		Id: id, Source: "/checkout", SpecVersion: "1.0", Type: "com.shop.order.placed", Data: &eventsv1.CloudEvent_TextData{TextData: id},
	}})
}

// subscribe opens a stream with more credit than a test needs.
func (s *sidecar) subscribe(t *testing.T, subscription string) *incoming {
	t.Helper()
	stream, err := s.events.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{
		Subscription: subscription, InitialCredit: 10_000,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	res, err := stream.Recv()
	if err != nil || res.GetReady() == nil {
		t.Fatalf("subscribe %s: %v, %v", subscription, res, err)
	}
	return &incoming{EventService_SubscribeClient: stream}
}

// incoming is a stream and the deliveries of its last message that were not taken yet.
type incoming struct {
	eventsv1.EventService_SubscribeClient
	rest []*eventsv1.Delivery
}

// receive takes and acknowledges the next event.
func receive(t *testing.T, in *incoming) *eventsv1.CloudEvent {
	t.Helper()
	for len(in.rest) == 0 {
		res, err := in.Recv()
		if err != nil {
			t.Fatal(err)
		}
		in.rest = res.GetDeliveries().GetDeliveries()
	}
	d := in.rest[0]
	in.rest = in.rest[1:]
	err := in.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Settle{Settle: &eventsv1.SubscribeSettle{
		Settlements: []*eventsv1.Settlement{{Token: d.GetToken(), Outcome: eventsv1.Outcome_OUTCOME_ACK}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return d.GetEvent()
}

func (s *sidecar) ready() error { return s.Ready() }

func TestAnEventGoesFromServiceToService(t *testing.T) {
	t.Parallel()
	p := start(t)
	checkout, billing := p.sidecar("checkout", ""), p.sidecar("billing", "")
	eventually(t, "billing is ready", billing.ready)
	stream := billing.subscribe(t, "billing")
	res, err := checkout.publish(t.Context(), "orders", "1")
	if err != nil {
		t.Fatal(err)
	}
	if res.GetRoute() != "canary/all" || res.GetTopic() != "shop/orders" {
		t.Errorf("published by %v", res)
	}
	if e := receive(t, stream); e.GetId() != "1" || string(e.GetBinaryData()) != "1" {
		t.Errorf("received %v", e)
	}
}

func TestARouteEditTakesEffectWithoutRestart(t *testing.T) {
	t.Parallel()
	p := start(t)
	checkout, billing := p.sidecar("checkout", ""), p.sidecar("billing", "")
	eventually(t, "billing is ready", billing.ready)
	next := billing.subscribe(t, "billing-next")
	if _, err := checkout.publish(t.Context(), "orders", "before"); err != nil {
		t.Fatal(err)
	}
	p.write("route.yaml", routeYAML(0, 1))
	eventually(t, "events go to the new topic", func() error {
		res, err := checkout.publish(t.Context(), "orders", "after")
		if err != nil {
			return err
		}
		if res.GetTopic() != "shop/orders-next" {
			return fmt.Errorf("went to %s", res.GetTopic())
		}
		return nil
	})
	if e := receive(t, next); e.GetId() != "after" {
		t.Errorf("the new topic's subscription received %s", e.GetId())
	}
}

func (p *product) status() *adminv1.GetStatusResponse {
	p.t.Helper()
	res, err := adminv1.NewMeshServiceClient(dial(p.t, p.plane.AdminAddr())).GetStatus(p.t.Context(), &adminv1.GetStatusRequest{})
	if err != nil {
		p.t.Fatal(err)
	}
	return res
}

func TestABrokenEditIsRefusedAndTheOldConfigurationStays(t *testing.T) {
	t.Parallel()
	p := start(t)
	checkout, billing := p.sidecar("checkout", ""), p.sidecar("billing", "")
	eventually(t, "billing is ready", billing.ready)
	p.write("route.yaml", strings.Replace(routeYAML(0, 1), "weight: 1", "weihgt: 1", 1))
	eventually(t, "the edit is refused", func() error {
		for _, problem := range p.status().GetProblems() {
			if problem.GetFile() == "route.yaml" && problem.GetLine() == 10 && strings.Contains(problem.GetField(), "weihgt") {
				return nil
			}
		}
		return fmt.Errorf("problems: %v", p.status().GetProblems())
	})
	res, err := checkout.publish(t.Context(), "orders", "1")
	if err != nil || res.GetTopic() != "shop/orders" {
		t.Errorf("after a broken edit: %v, %v", res, err)
	}
	p.write("route.yaml", routeYAML(1, 0))
	eventually(t, "the problem is gone", func() error {
		if n := len(p.status().GetProblems()); n > 0 {
			return fmt.Errorf("%d problems", n)
		}
		return nil
	})
}

func TestStatusShowsWhatSidecarsAcknowledged(t *testing.T) {
	t.Parallel()
	p := start(t)
	checkout, billing := p.sidecar("checkout", ""), p.sidecar("billing", "")
	eventually(t, "billing is ready", billing.ready)
	if _, err := checkout.publish(t.Context(), "orders-next", "1"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is programmed", func() error {
		res := p.status()
		if n := len(res.GetSidecars()); n != 2 {
			return fmt.Errorf("%d sidecars", n)
		}
		for _, s := range res.GetSidecars() {
			if s.GetState() != "SYNCED" {
				return fmt.Errorf("sidecar %s is %s", s.GetId(), s.GetState())
			}
		}
		for _, o := range res.GetObjects() {
			if o.GetName() == "billing" && (o.GetAcked() != 1 || o.GetPending()+o.GetRejected() != 0) {
				return fmt.Errorf("subscription billing: %v", o)
			}
		}
		return nil
	})
}

func TestATopicThatDoesNotExistIsNotFound(t *testing.T) {
	t.Parallel()
	p := start(t)
	checkout := p.sidecar("checkout", "")
	_, err := checkout.publish(t.Context(), "nowhere", "1")
	if status.Code(err) != codes.NotFound || rpcerr.Reason(err) != refusal.TopicNotFound {
		t.Errorf("publish: %v", err)
	}
}

func TestASubscriptionIsOnlyForItsWorkload(t *testing.T) {
	t.Parallel()
	p := start(t)
	checkout := p.sidecar("checkout", "")
	eventually(t, "checkout has its configuration", checkout.ready)
	stream, err := checkout.events.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = stream.Send(&eventsv1.SubscribeRequest{Request: &eventsv1.SubscribeRequest_Init{Init: &eventsv1.SubscribeInit{Subscription: "billing"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); rpcerr.Reason(err) != refusal.SubscriptionUnknown {
		t.Errorf("another workload's subscription: %v", err)
	}
}

func TestEventsFlowWhileTheControlPlaneIsAway(t *testing.T) {
	t.Parallel()
	p := start(t)
	state := t.TempDir()
	checkout := p.sidecar("checkout", state)
	billing := p.sidecar("billing", "")
	eventually(t, "billing is ready", billing.ready)
	stream := billing.subscribe(t, "billing")
	if _, err := checkout.publish(t.Context(), "orders", "1"); err != nil {
		t.Fatal(err)
	}
	p.stop()
	if _, err := checkout.publish(t.Context(), "orders", "2"); err != nil {
		t.Errorf("publish without a control plane: %v", err)
	}
	checkout.stop()
	restarted := p.sidecar("checkout", state)
	if _, err := restarted.publish(t.Context(), "orders", "3"); err != nil {
		t.Errorf("publish after a restart without a control plane: %v", err)
	}
	for _, want := range []string{"1", "2", "3"} {
		if e := receive(t, stream); e.GetId() != want {
			t.Errorf("received %s, want %s", e.GetId(), want)
		}
	}
}

func TestHealthFollowsReadiness(t *testing.T) {
	t.Parallel()
	p := start(t)
	checkout := p.sidecar("checkout", "")
	health := healthv1.NewHealthClient(checkout.conn)
	for _, service := range []string{"", "warren.events.v1.EventService"} {
		eventually(t, "health of "+service, func() error {
			res, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
			if err == nil && res.GetStatus() != healthv1.HealthCheckResponse_SERVING {
				err = fmt.Errorf("status %v", res.GetStatus())
			}
			return err
		})
	}
	if _, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
		t.Errorf("health of an unknown service: %v", err)
	}
}

func TestManySidecarsStartAndStopLeavingNothingBehind(t *testing.T) {
	t.Parallel()
	p := start(t)
	for range 5 {
		s := p.sidecar("billing", "")
		eventually(t, "billing is ready", s.ready)
		s.subscribe(t, "billing")
		s.stop()
		_ = s.conn.Close()
	}
}
