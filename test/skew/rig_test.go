package skew

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/goleak"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/controlplane"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client"
	"github.com/warrenmesh/warren/xds/wire"
)

// patience bounds every wait. It is not a performance requirement.
const patience = 4 * time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Objects that the configurations of all recordings declare in namespace shop.
var (
	topics = []string{"topic/shop/orders", "topic/shop/orders-next"}
	orders = mesh.Name{Namespace: "shop", Name: "orders"}
	node   = xds.Node{ID: "billing-0", Namespace: "shop", Workload: "billing", Labels: map[string]string{"app": "billing"}, Version: "skew"}
)

const (
	broker  = "broker/shop/main"
	billing = "subscription/shop/billing"
)

// plane is today's control plane.
type plane struct {
	*controlplane.ControlPlane
	dir string
}

func launch(t *testing.T, files map[string]string) *plane {
	t.Helper()
	p := &plane{dir: t.TempDir()}
	p.write(t, files)
	var err error
	p.ControlPlane, err = controlplane.New(controlplane.Options{Dir: p.dir, XDSListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", StatusListen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	background(t, p.Run)
	select {
	case <-p.Ready():
	case <-time.After(patience):
		t.Fatal("the control plane is not ready")
	}
	return p
}

func (p *plane) write(t *testing.T, files map[string]string) {
	t.Helper()
	for name, text := range files {
		beside := filepath.Join(p.dir, "."+name)
		if err := os.WriteFile(beside, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(beside, filepath.Join(p.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

// background runs f until the test ends.
func background(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("in the background: %v", err)
		}
	})
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

// mesh is the state that "warren status" prints.
func (p *plane) mesh(t *testing.T) *adminv1.GetStatusResponse {
	t.Helper()
	out, err := adminv1.NewMeshServiceClient(dial(t, p.AdminAddr())).GetStatus(t.Context(), &adminv1.GetStatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// seen is the state of the only sidecar as the control plane knows it, by the names of
// its resources, and of the declared objects, by kind and name.
type seen struct {
	state     string
	resources map[string]*adminv1.SidecarResource
	objects   map[string]*adminv1.Object
}

func (p *plane) seen(t *testing.T) seen {
	t.Helper()
	out := seen{resources: map[string]*adminv1.SidecarResource{}, objects: map[string]*adminv1.Object{}}
	status := p.mesh(t)
	for _, s := range status.GetSidecars() {
		out.state = s.GetState()
		for _, r := range s.GetResources() {
			out.resources[r.GetTypeUrl()+" "+r.GetName()] = r
		}
	}
	for _, o := range status.GetObjects() {
		out.objects[o.GetKind()+" "+o.GetName()] = o
	}
	return out
}

// eventually polls until ok returns true for the state in the control plane.
func (p *plane) eventually(t *testing.T, what string, ok func(seen) bool) seen {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		now := p.seen(t)
		if ok(now) {
			return now
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited for: %s; the sidecar is %q with %v", what, now.state, now.resources)
		}
	}
}

// reader is a sidecar's xDS client, without the rest. It refuses the resources that
// judge refuses.
type reader struct {
	t       *testing.T
	stream  grpc.BidiStreamingClient[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]
	version *recording // nil accepts everything
	greeted bool
}

func connect(t *testing.T, target string, version *recording) *reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(dial(t, target)).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &reader{t: t, stream: stream, version: version}
}

// readAll requests all resources of the workload and answers the responses.
func (r *reader) readAll() []*discoveryv3.DeltaDiscoveryResponse {
	r.t.Helper()
	return []*discoveryv3.DeltaDiscoveryResponse{
		r.subscribe(xds.TypeListener, "*"), r.subscribe(xds.TypeListener, topics...), r.subscribe(xds.TypeRoute, topics...),
		r.subscribe(xds.TypeCluster, broker), r.subscribe(xds.TypeEndpoint, broker),
	}
}

func (r *reader) subscribe(typeURL string, names ...string) *discoveryv3.DeltaDiscoveryResponse {
	r.t.Helper()
	r.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: typeURL, ResourceNamesSubscribe: names})
	return r.next()
}

// next receives a response and answers it as a sidecar does.
func (r *reader) next() *discoveryv3.DeltaDiscoveryResponse {
	r.t.Helper()
	resp, err := r.stream.Recv()
	if err != nil {
		r.t.Fatal(err)
	}
	answer := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: resp.GetTypeUrl(), ResponseNonce: resp.GetNonce()}
	var bad []wire.Rejection
	for _, resource := range resp.GetResources() {
		if r.version == nil {
			break
		}
		if err := r.version.judge(resource.GetResource()); err != nil {
			bad = append(bad, wire.Rejection{Resource: resource.GetName(), Error: err.Error()})
		}
	}
	if len(bad) > 0 {
		answer.ErrorDetail = &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: wire.FormatRejections(bad)}
	}
	r.send(answer)
	return resp
}

func (r *reader) send(req *discoveryv3.DeltaDiscoveryRequest) {
	r.t.Helper()
	if !r.greeted {
		req.Node, r.greeted = node.Proto(), true
	}
	if err := r.stream.Send(req); err != nil {
		r.t.Fatal(err)
	}
}

// today is the xDS client of today's sidecar.
type today struct {
	*client.Client
	applied chan *mesh.Config
}

func follow(t *testing.T, server string) *today {
	t.Helper()
	s := &today{applied: make(chan *mesh.Config, 16)}
	var err error
	s.Client, err = client.New(client.Options{
		Server: server, Node: node, Topics: []mesh.Name{orders}, Logger: slog.New(slog.DiscardHandler),
		Apply: func(snapshot *client.Snapshot) client.Refusals {
			s.applied <- snapshot.Config
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	background(t, s.Run)
	return s
}

// config returns the first configuration for which ok returns true.
func (s *today) config(t *testing.T, ok func(*mesh.Config) bool) *mesh.Config {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case c := <-s.applied:
			if ok(c) {
				return c
			}
		case <-deadline:
			t.Fatalf("the configuration did not come: %+v", s.Status())
		}
	}
}

// serve runs a gRPC server until the test ends.
func serve(t *testing.T, register func(*grpc.Server), stop func(), opts ...grpc.ServerOption) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(opts...)
	register(server)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(lis) })
	t.Cleanup(func() {
		stop()
		server.Stop()
		serving.Wait()
	})
	return lis.Addr().String()
}

// show formats a configuration for a failure message.
func show(c *mesh.Config) string {
	text, err := json.MarshalIndent(map[string]any{
		"topics": slices.Collect(maps.Values(c.Topics)), "subscriptions": slices.Collect(maps.Values(c.Subscriptions)), "brokers": slices.Collect(maps.Values(c.Brokers)),
	}, "", "  ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}
