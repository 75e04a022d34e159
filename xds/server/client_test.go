package server_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"go.uber.org/goleak"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server"
	"github.com/warrenmesh/warren/xds/wire"
)

var update = flag.Bool("update", false, "rewrite testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 4 * time.Minute

// start serves s on memory and returns a stub for it.
func start(t testing.TB, s *server.Server) discoveryv3.AggregatedDiscoveryServiceClient {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	g := grpc.NewServer(server.ServerOptions()...)
	s.Register(g)
	done := make(chan error, 1)
	go func() { done <- g.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///memory",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		_ = conn.Close()
		g.Stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
}

// client is a bare delta ADS client: it keeps only what the protocol makes it keep.
type client struct {
	t      testing.TB
	node   xds.Node
	stub   discoveryv3.AggregatedDiscoveryServiceClient
	stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	cancel context.CancelFunc
	first  bool                                  // the next request is the stream's first
	have   map[string]map[string]string          // versions by type and name
	inbox  []*discoveryv3.DeltaDiscoveryResponse // read, not yet looked at
	last   *discoveryv3.DeltaDiscoveryResponse   // looked at, to be answered
	fences int
}

func newClient(t testing.TB, stub discoveryv3.AggregatedDiscoveryServiceClient, node xds.Node) *client {
	return &client{t: t, stub: stub, node: node, have: map[string]map[string]string{}}
}

func (c *client) open() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	c.t.Cleanup(cancel)
	stream, err := c.stub.DeltaAggregatedResources(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	c.stream, c.cancel, c.first, c.inbox, c.last = stream, cancel, true, nil, nil
}

func (c *client) send(req *discoveryv3.DeltaDiscoveryRequest) {
	c.t.Helper()
	if c.first {
		req.Node = c.node.Proto()
		c.first = false
	}
	if err := c.stream.Send(req); err != nil {
		c.t.Fatalf("%s: send: %v", c.node.ID, err)
	}
}

// next returns the next response, whether already read or not.
func (c *client) next() *discoveryv3.DeltaDiscoveryResponse {
	c.t.Helper()
	if len(c.inbox) == 0 {
		c.inbox = append(c.inbox, c.read())
	}
	c.last, c.inbox = c.inbox[0], c.inbox[1:]
	return c.last
}

func (c *client) read() *discoveryv3.DeltaDiscoveryResponse {
	c.t.Helper()
	resp, err := c.stream.Recv()
	if err != nil {
		c.t.Fatalf("%s: receive: %v", c.node.ID, err)
	}
	return resp
}

// answer ACKs the last response, or NACKs it with text.
func (c *client) answer(text string) {
	c.t.Helper()
	req := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: c.last.TypeUrl, ResponseNonce: c.last.Nonce}
	if text != "" {
		req.ErrorDetail = &rpcstatus.Status{Code: int32(codes.InvalidArgument), Message: text}
	}
	refused := wire.ParseRejections(text)
	if c.have[c.last.TypeUrl] == nil {
		c.have[c.last.TypeUrl] = map[string]string{}
	}
	for _, r := range c.last.Resources {
		if !slices.ContainsFunc(refused, func(x wire.Rejection) bool { return x.Resource == r.Name }) {
			c.have[c.last.TypeUrl][r.Name] = r.Version
		}
	}
	for _, name := range c.last.RemovedResources {
		delete(c.have[c.last.TypeUrl], name)
	}
	c.send(req)
}

const fence = "broker/fence/"

// fence returns when the server has worked off all that was sent before; what came
// meanwhile is in the inbox. The stream is in order: a question about a broker that
// does not exist is answered after everything else that is due.
func (c *client) fence() {
	c.t.Helper()
	c.fences++
	name := fmt.Sprint(fence, c.fences)
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeEndpoint, ResourceNamesSubscribe: []string{name}})
	for {
		resp := c.read()
		if slices.Contains(resp.RemovedResources, name) {
			c.send(&discoveryv3.DeltaDiscoveryRequest{
				TypeUrl: xds.TypeEndpoint, ResponseNonce: resp.Nonce, ResourceNamesUnsubscribe: []string{name},
			})
			return
		}
		c.inbox = append(c.inbox, resp)
	}
}

// await polls what s knows until ok, at every change.
func await(t testing.TB, s *server.Server, what string, ok func([]server.Sidecar) bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		changed := s.Changed()
		if ok(s.Sidecars()) {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			t.Fatalf("never happened: %s; sidecars are %+v", what, s.Sidecars())
		}
	}
}

func name(s string) mesh.Name { return mesh.Name{Namespace: "shop", Name: s} }

// topic is a topic whose events go to itself, weight times in 100, else to
// "<topic>-next".
func topic(t testing.TB, topicName string, weight uint32) []wire.Resource {
	t.Helper()
	backend := func(s string, weight uint32) mesh.Backend {
		return mesh.Backend{Weight: weight, Destination: mesh.Destination{
			Topic: name(s), Broker: name("main"), Exchange: mesh.Exchange{Name: s, Type: "topic"},
			RoutingKey: "{type}", ConfirmTimeout: time.Second, MaxEventBytes: 1 << 20,
		}}
	}
	rs, err := wire.EncodeTopic(&mesh.Topic{Name: name(topicName), Rules: []mesh.Rule{{
		Backends: []mesh.Backend{backend(topicName, weight), backend(topicName+"-next", 100-weight)},
		Retry:    mesh.Retry{Attempts: 1},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func broker(t testing.TB, brokerName string, nodes ...string) []wire.Resource {
	t.Helper()
	b := &mesh.Broker{Name: name(brokerName), Type: mesh.RabbitMQ, VHost: "/", Topology: mesh.Manage}
	for _, n := range nodes {
		b.Nodes = append(b.Nodes, mesh.Node{Address: n})
	}
	rs, err := wire.EncodeBroker(b)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// subscription is for the sidecars of namespace shop with the label app.
func subscription(t testing.TB, subscriptionName, app string, prefetch uint32) server.Scoped {
	t.Helper()
	rs, err := wire.EncodeSubscription(&mesh.Subscription{
		Name: name(subscriptionName), Topic: name("orders"), Broker: name("main"),
		Exchange: mesh.Exchange{Name: "orders", Type: "topic"},
		Queue:    mesh.Queue{Name: "orders." + subscriptionName, Type: "quorum", Prefetch: prefetch},
		Attempts: 1, AckDeadline: time.Second, DeadLetterQueue: "dead",
	})
	if err != nil {
		t.Fatal(err)
	}
	return server.Scoped{
		Resource: rs[0], Namespace: "shop",
		Match: func(labels map[string]string) bool { return labels["app"] == app },
	}
}

func node(id string) xds.Node {
	app, _, _ := strings.Cut(id, ".")
	return xds.Node{ID: id, Namespace: "shop", Workload: app, Labels: map[string]string{"app": app}, Version: "test"}
}
