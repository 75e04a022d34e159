package proxy

import (
	"context"
	"errors"
	"math"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/listen"
	"github.com/warrenmesh/warren/proxy/deliver"
	"github.com/warrenmesh/warren/proxy/limit"
	"github.com/warrenmesh/warren/proxy/publish"
	"github.com/warrenmesh/warren/proxy/rpcerr"
)

// eventServer is EventService: publishing and receiving are rooms of their own.
type eventServer struct {
	eventsv1.UnimplementedEventServiceServer
	publish *publish.Service
	deliver *deliver.Service
	streams *limit.Budget
}

// Publish implements EventServiceServer.
func (s *eventServer) Publish(ctx context.Context, req *eventsv1.PublishRequest) (*eventsv1.PublishResponse, error) {
	return s.publish.Publish(ctx, req)
}

// PublishBatch implements EventServiceServer.
func (s *eventServer) PublishBatch(ctx context.Context, req *eventsv1.PublishBatchRequest) (*eventsv1.PublishBatchResponse, error) {
	return s.publish.PublishBatch(ctx, req)
}

// PublishStream implements EventServiceServer.
func (s *eventServer) PublishStream(stream grpc.BidiStreamingServer[eventsv1.PublishStreamRequest, eventsv1.PublishStreamResponse]) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.streams.Give(0)
	return s.publish.PublishStream(stream)
}

// Subscribe implements EventServiceServer.
func (s *eventServer) Subscribe(stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.streams.Give(0)
	return s.deliver.Subscribe(stream)
}

func (s *eventServer) enter() error {
	if s.streams.TryTake(0) {
		return nil
	}
	return tooManyStreams()
}

func tooManyStreams() error {
	return rpcerr.Exhausted(rpcerr.TooManyStreams, "the sidecar serves as many streams as it may")
}

// isWatch reports whether a stream is none of the event API's, which counts its own.
func isWatch(method string) bool {
	return !strings.HasPrefix(method, "/"+eventsv1.EventService_ServiceDesc.ServiceName+"/")
}

const (
	// callsPerConnection bounds the calls at once on one connection of the event API.
	callsPerConnection = 1024
	// maxWatches bounds the streams that are not events: health watches and reflection.
	maxWatches = 64
)

// newEventServer builds the gRPC server of the event API.
//
// The receive limit does not follow the largest event in force: gRPC's is fixed when the
// server is made, and a batch may be larger than any of its events. What a message may
// cost before it is whole is bounded over all connections instead (listen.Partial), and
// each event's size by its topic.
func (p *Proxy) newEventServer() *grpc.Server {
	server := grpc.NewServer(append(listen.ServerOptions(callsPerConnection),
		grpc.StatsHandler(p.opts.Tracing.ServerHandler()),
		grpc.MaxRecvMsgSize(p.opts.MaxMessageBytes),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.ForceServerCodecV2(frugal{encoding.GetCodecV2(proto.Name)}),
		grpc.ChainUnaryInterceptor(pushback),
		grpc.ChainStreamInterceptor(listen.LimitStreams(maxWatches, isWatch, tooManyStreams), p.untilStop),
	)...)
	eventsv1.RegisterEventServiceServer(server, &eventServer{
		publish: p.publish, deliver: p.deliver, streams: limit.NewBudget(p.opts.MaxStreams, 0),
	})
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
	if !isWatch(info.FullMethod) {
		return handle(srv, stream)
	}
	done := make(chan error, 1)
	go func() { done <- handle(srv, stream) }() // ends at the latest with the stream
	select {
	case err := <-done:
		return err
	case <-p.stopping:
		return rpcerr.Unavailable(rpcerr.Draining, "the sidecar is shutting down")
	}
}

// serve runs the server on l. A stop that comes before it has begun is no failure.
func serve(server *grpc.Server, l net.Listener) error {
	if err := server.Serve(l); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// newHealth starts out NOT_SERVING; watchHealth keeps it true.
func newHealth() *health.Server {
	h := health.NewServer()
	setHealth(h, healthv1.HealthCheckResponse_NOT_SERVING)
	return h
}

func setHealth(h *health.Server, s healthv1.HealthCheckResponse_ServingStatus) {
	h.SetServingStatus("", s)
	h.SetServingStatus(eventsv1.EventService_ServiceDesc.ServiceName, s)
}
