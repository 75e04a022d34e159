package mesh

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// handler is a service that is called for each event. It serves as long as the mesh
// runs; between two runs there are no events.
type handler struct {
	eventsv1.UnimplementedEventHandlerServiceServer

	port    int
	server  *grpc.Server
	serving sync.WaitGroup
	now     atomic.Pointer[receiver] // nil between two runs
}

// receiver is one run of a handler.
type receiver struct {
	sink   *load.Sink
	failed chan error // the first error of the sink
}

func startHandler(ctx context.Context) (*handler, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for pushed events: %w", err)
	}
	h := &handler{port: listener.Addr().(*net.TCPAddr).Port, server: grpc.NewServer()}
	eventsv1.RegisterEventHandlerServiceServer(h.server, h)
	healthv1.RegisterHealthServer(h.server, health.NewServer())
	h.serving.Go(func() { _ = h.server.Serve(listener) })
	return h, nil
}

// OnEvent implements the service.
func (h *handler) OnEvent(_ context.Context, request *eventsv1.OnEventRequest) (*eventsv1.OnEventResponse, error) {
	r := h.now.Load()
	if r == nil {
		return nil, status.Error(codes.Internal, "an event came between two runs")
	}
	if err := r.sink.Receive(request.GetEvent().GetBinaryData(), request.GetRedelivered()); err != nil {
		select {
		case r.failed <- err:
		default:
		}
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &eventsv1.OnEventResponse{}, nil
}

// receive returns when sink is done. The sidecar settles the last events soon after.
func (h *handler) receive(ctx context.Context, sink *load.Sink) error {
	r := &receiver{sink: sink, failed: make(chan error, 1)}
	h.now.Store(r)
	defer h.now.Store(nil)
	sink.Open()
	select {
	case <-sink.Done():
		return nil
	case err := <-r.failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("receive: %w", context.Cause(ctx))
	}
}

func (h *handler) stop() {
	h.server.Stop()
	h.serving.Wait()
}
