package proxy

import (
	"errors"
	"net"

	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	door "github.com/warrenmesh/warren/proxy/door/grpc"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
)

// newEventServer builds the gRPC server of the event API.
func (p *Proxy) newEventServer() *grpc.Server {
	server := grpc.NewServer(door.ServerOptions(p.opts.MaxMessageBytes, p.opts.Tracing.ServerHandler(), p.untilStop)...)
	door.Register(server, door.New(p.publish, p.deliver, p.opts.MaxStreams, p.metrics))
	healthv1.RegisterHealthServer(server, p.health)
	if !p.opts.NoReflection {
		reflection.Register(server)
	}
	return server
}

// untilStop ends streams that last until their client ends them, such as a health
// watch, for a graceful stop waits for them. Those of the event API end by
// themselves.
func (p *Proxy) untilStop(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if !door.IsWatch(info.FullMethod) {
		return handle(srv, stream)
	}
	done := make(chan error, 1)
	go func() { done <- handle(srv, stream) }() // ends at the latest with the stream
	select {
	case err := <-done:
		return err
	case <-p.stopping:
		return rpcerr.From(refusal.Later(refusal.Draining, "the sidecar is shutting down"))
	}
}

// serve runs the server on l. A stop that comes before it has begun is no failure.
func serve(server *grpc.Server, l net.Listener) error {
	if err := server.Serve(l); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}
