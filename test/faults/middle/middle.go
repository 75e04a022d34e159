// Package middle is a proxy between sidecars and a control plane. It passes their xDS
// messages on, counts them, and corrupts one on demand.
//
// It only knows which responses contain routes and which requests are refusals. It is
// safe for concurrent use.
package middle

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Middle is a listening proxy. Make it with Listen.
type Middle struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	// Set at construction.
	path     string
	upstream *grpc.ClientConn
	server   *grpc.Server
	serving  sync.WaitGroup

	// Guarded by mu.
	mu        sync.Mutex
	spoil     bool
	responses int
	refusals  []string
}

// Listen listens on a unix socket and forwards to the control plane at target, until
// Close.
func Listen(ctx context.Context, path, target string) (*Middle, error) {
	upstream, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("listen before %s: %w", target, err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen before %s: %w", target, err), upstream.Close())
	}
	m := &Middle{path: path, upstream: upstream, server: grpc.NewServer()}
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(m.server, m)
	m.serving.Go(func() { _ = m.server.Serve(l) })
	return m, nil
}

// Target is the address for sidecars.
func (m *Middle) Target() string { return "unix:" + m.path }

// Close ends every stream.
func (m *Middle) Close() {
	m.server.Stop()
	m.serving.Wait()
	_ = m.upstream.Close()
	_ = os.Remove(m.path)
}

// Spoil corrupts the next response with routes.
func (m *Middle) Spoil() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spoil = true
}

// Responses is how many responses were forwarded.
func (m *Middle) Responses() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.responses
}

// Refusals is how many responses were refused.
func (m *Middle) Refusals() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.refusals)
}

// LastRefusal is the reason of the last refusal; "" when there was none.
func (m *Middle) LastRefusal() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.refusals) == 0 {
		return ""
	}
	return m.refusals[len(m.refusals)-1]
}

// DeltaAggregatedResources implements the discovery service.
func (m *Middle) DeltaAggregatedResources(down discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	ctx, cancel := context.WithCancel(down.Context())
	defer cancel()
	up, err := discoveryv3.NewAggregatedDiscoveryServiceClient(m.upstream).DeltaAggregatedResources(ctx)
	if err != nil {
		return err
	}
	go func() { // ends with the stream, whose Recv then fails
		defer cancel()
		for {
			req, err := down.Recv()
			if err != nil {
				return
			}
			m.heard(req)
			if up.Send(req) != nil {
				return
			}
		}
	}()
	for {
		res, err := up.Recv()
		if err != nil {
			return err
		}
		if err := down.Send(m.treat(res)); err != nil {
			return err
		}
	}
}

func (m *Middle) heard(req *discoveryv3.DeltaDiscoveryRequest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if detail := req.GetErrorDetail(); detail != nil {
		m.refusals = append(m.refusals, detail.GetMessage())
	}
}

// treat counts a response, and corrupts it when Spoil was called.
func (m *Middle) treat(res *discoveryv3.DeltaDiscoveryResponse) *discoveryv3.DeltaDiscoveryResponse {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.responses++
	if !m.spoil || !strings.HasSuffix(res.GetTypeUrl(), ".RouteConfiguration") || len(res.GetResources()) == 0 {
		return res
	}
	m.spoil = false
	spoilt := proto.Clone(res).(*discoveryv3.DeltaDiscoveryResponse)
	for _, r := range spoilt.GetResources() {
		r.Resource = &anypb.Any{TypeUrl: res.GetTypeUrl(), Value: []byte{0xff, 0xff, 0xff}}
	}
	return spoilt
}
