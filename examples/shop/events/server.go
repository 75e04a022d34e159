package events

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// drainTimeout bounds how long a stopping server waits for calls in progress.
const drainTimeout = 3 * time.Second

// Server receives pushed events. The address must be on loopback, and its port must be
// the subscription's delivery.push.port.
type Server struct {
	// Address to listen on: "127.0.0.1:9090".
	Address string
	// Handler handles the events. Calls are concurrent, at most as many as the
	// subscription's prefetch; their deadline is the ack deadline.
	Handler eventsv1.EventHandlerServiceServer
	// Options of the gRPC server, for tracing.
	Options []grpc.ServerOption
	// Ready is called once, when events may arrive; it may be nil.
	Ready func()
}

// Run serves until ctx ends. Then it reports NOT_SERVING, so that the sidecar takes no
// more events from the queue, and waits for calls in progress, at most 3 s.
func (s *Server) Run(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.Address)
	if err != nil {
		return fmt.Errorf("listen for pushed events: %w", err)
	}
	server := grpc.NewServer(s.Options...)
	eventsv1.RegisterEventHandlerServiceServer(server, s.Handler)
	checks := health.NewServer() // "" is SERVING from the beginning
	checks.SetServingStatus(eventsv1.EventHandlerService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(server, checks)

	var stopping sync.WaitGroup
	defer stopping.Wait()
	served, done := context.WithCancel(ctx)
	defer done()
	stopping.Go(func() {
		<-served.Done()
		checks.Shutdown()
		defer time.AfterFunc(drainTimeout, server.Stop).Stop()
		server.GracefulStop()
	})
	if s.Ready != nil {
		s.Ready()
	}
	if err := server.Serve(listener); !errors.Is(err, grpc.ErrServerStopped) && err != nil {
		return fmt.Errorf("serve pushed events: %w", err)
	}
	return nil
}
