package controlplane

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/source/file"
	"github.com/warrenmesh/warren/xds"
)

// patience is how long a test waits for what must happen. It is no measure.
const patience = 4 * time.Minute

const head = "apiVersion: warrenmesh.io/v1alpha1\nkind: "

// shop is a good set: 6 objects in 3 files.
func shop() map[string]string {
	return map[string]string{
		"broker.yaml": head + "EventBroker\nmetadata: {name: main, namespace: shop}\nspec: {nodes: [{address: \"127.0.0.1:5672\"}]}\n",
		"topics.yaml": topicYAML("orders") + "---\n" + topicYAML("orders-next"),
		"routes.yaml": routeYAML(100, 0),
		"subs.yaml":   subYAML("billing", 64) + "---\n" + subYAML("audit", 64),
	}
}

func topicYAML(name string) string {
	return head + "EventTopic\nmetadata: {name: " + name + ", namespace: shop}\nspec: {brokerRef: {name: main}}\n"
}

func routeYAML(a, b int) string {
	return head + `EventRoute
metadata: {name: canary, namespace: shop}
spec:
  parentRefs: [{name: orders}]
  rules:
  - name: split
    backendRefs:
    - {name: orders, weight: ` + itoa(a) + `}
    - {name: orders-next, weight: ` + itoa(b) + "}\n"
}

func subYAML(name string, prefetch int) string {
	return head + "EventSubscription\nmetadata: {name: " + name + ", namespace: shop}\nspec:\n  topicRef: {name: orders}\n" +
		"  selector: {matchLabels: {app: " + name + "}}\n  queue: {prefetch: " + itoa(prefetch) + "}\n"
}

// edit writes files as editors do: beside, then renamed over.
func edit(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		beside := filepath.Join(dir, "."+name+".tmp")
		if err := os.WriteFile(beside, []byte(files[name]), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(beside, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// launch runs a control plane on free ports until the test ends, and waits until
// it listens.
func launch(t *testing.T, dir string, change func(*Options)) *ControlPlane {
	t.Helper()
	opts := Options{Dir: dir, XDSListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", StatusListen: "127.0.0.1:0", Version: "v-test"}
	if change != nil {
		change(&opts)
	}
	cp, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- cp.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	wait(t, "listening", cp.listening)
	return cp
}

func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("not %s after %v", what, patience)
	}
}

// eventually polls until ok returns true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not so after %v", what, patience)
		}
	}
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

func getStatus(t *testing.T, cp *ControlPlane, namespace string) *adminv1.GetStatusResponse {
	t.Helper()
	conn := dial(t, cp.AdminAddr())
	defer func() { _ = conn.Close() }() // polls would fill the listener
	out, err := adminv1.NewMeshServiceClient(conn).GetStatus(t.Context(), &adminv1.GetStatusRequest{Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sidecar is go-control-plane's generated delta client and nothing more.
type sidecar struct {
	t      *testing.T
	node   *corev3.Node
	conn   *grpc.ClientConn
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
}

func connect(t *testing.T, cp *ControlPlane, app string) *sidecar {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	conn := dial(t, cp.XDSAddr())
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(conn).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	labels := structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"app": structpb.NewStringValue(app)}})
	return &sidecar{t: t, conn: conn, stream: stream, node: &corev3.Node{
		Id: app, Cluster: app, UserAgentName: "test", UserAgentVersionType: &corev3.Node_UserAgentVersion{UserAgentVersion: "v1"},
		Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{"namespace": structpb.NewStringValue("shop"), "labels": labels}},
	}}
}

func (s *sidecar) send(req *discoveryv3.DeltaDiscoveryRequest) {
	s.t.Helper()
	req.Node, s.node = s.node, nil
	if err := s.stream.Send(req); err != nil {
		s.t.Fatal(err)
	}
}

// subscribe asks for names and returns the answer.
func (s *sidecar) subscribe(typeURL string, names ...string) *discoveryv3.DeltaDiscoveryResponse {
	s.t.Helper()
	s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesSubscribe: names})
	return s.next()
}

func (s *sidecar) next() *discoveryv3.DeltaDiscoveryResponse {
	s.t.Helper()
	resp, err := s.stream.Recv()
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

func (s *sidecar) ack(resp *discoveryv3.DeltaDiscoveryResponse) {
	s.t.Helper()
	s.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.GetTypeUrl(), ResponseNonce: resp.GetNonce()})
}

func (s *sidecar) nack(resp *discoveryv3.DeltaDiscoveryResponse, message string) {
	s.t.Helper()
	s.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: resp.GetTypeUrl(), ResponseNonce: resp.GetNonce(),
		ErrorDetail: &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: message},
	})
}

func names(resp *discoveryv3.DeltaDiscoveryResponse) []string {
	var out []string
	for _, r := range resp.GetResources() {
		out = append(out, r.GetName())
	}
	slices.Sort(out)
	return out
}

func expect(t *testing.T, resp *discoveryv3.DeltaDiscoveryResponse, typeURL string, want ...string) {
	t.Helper()
	if got := names(resp); resp.GetTypeUrl() != typeURL || !slices.Equal(got, want) || len(resp.GetRemovedResources()) > 0 {
		t.Fatalf("got %s %v and removed %v, want exactly %s %v", resp.GetTypeUrl(), got, resp.GetRemovedResources(), typeURL, want)
	}
}

// readAll makes a sidecar read and acknowledge all there is in the shop for an
// app.
func (s *sidecar) readAll(app string) {
	s.t.Helper()
	expectAck := func(resp *discoveryv3.DeltaDiscoveryResponse, typeURL string, want ...string) {
		s.t.Helper()
		expect(s.t, resp, typeURL, want...)
		s.ack(resp)
	}
	topics := []string{"topic/shop/orders", "topic/shop/orders-next"}
	expectAck(s.subscribe(xds.TypeListener, "*"), xds.TypeListener, "subscription/shop/"+app)
	expectAck(s.subscribe(xds.TypeListener, topics...), xds.TypeListener, topics...)
	expectAck(s.subscribe(xds.TypeRoute, topics...), xds.TypeRoute, topics...)
	expectAck(s.subscribe(xds.TypeCluster, "broker/shop/main"), xds.TypeCluster, "broker/shop/main")
	expectAck(s.subscribe(xds.TypeEndpoint, "broker/shop/main"), xds.TypeEndpoint, "broker/shop/main")
}

func load(t *testing.T, dir string) (declare.Set, []declare.Problem) {
	t.Helper()
	return file.Load(dir)
}
