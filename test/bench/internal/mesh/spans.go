package mesh

import (
	"context"
	"fmt"
	"net"
	"sync"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// discard receives spans by OTLP over gRPC and discards them.
type discard struct {
	collectorpb.UnimplementedTraceServiceServer

	address string
	server  *grpc.Server
	serving sync.WaitGroup
}

func startDiscard(ctx context.Context) (*discard, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for spans: %w", err)
	}
	d := &discard{address: listener.Addr().String(), server: grpc.NewServer()}
	collectorpb.RegisterTraceServiceServer(d.server, d)
	d.serving.Go(func() { _ = d.server.Serve(listener) })
	return d, nil
}

// Export implements the OTLP trace service.
func (*discard) Export(context.Context, *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func (d *discard) stop() {
	d.server.Stop()
	d.serving.Wait()
}
