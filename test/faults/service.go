package faults

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/test/internal/product"
)

// service is a sidecar and the client of the service beside it. The sidecar may die and
// be started again at the same address.
type service struct {
	eventsv1.EventServiceClient
	*product.RunningSidecar
	name string
}

// service starts a workload's sidecar.
func (w *World) service(workload string, env ...string) *service {
	w.Helper()
	s := &service{name: workload}
	s.RunningSidecar = w.Mesh.StartSidecar(product.Sidecar{Namespace: w.namespace, Workload: workload, ControlPlane: w.planeAt, Env: env})
	conn, err := grpc.NewClient(s.Socket, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		// A service on the same host need not wait long before it connects to its
		// sidecar again.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.5, MaxDelay: 200 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}), grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30), grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = conn.Close() })
	s.EventServiceClient = client.New(conn).API() // every call and answer must be recorded, and package client would hide some
	w.mu.Lock()
	defer w.mu.Unlock()
	w.services = append(w.services, s)
	return s
}

// again starts a sidecar that has ended, at the same address.
func (w *World) again(s *service) {
	w.Helper()
	running := w.Mesh.RestartSidecar(s.RunningSidecar)
	w.mu.Lock()
	defer w.mu.Unlock()
	s.RunningSidecar = running
}

// living returns the running sidecars.
func (w *World) living() []*service {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []*service
	for _, s := range w.services {
		if !s.Ended() {
			c := *s
			out = append(out, &c)
		}
	}
	return out
}
