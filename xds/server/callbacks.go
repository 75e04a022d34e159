package server

import (
	"context"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// callbacks are how the library tells what happens on a stream. It calls those of
// one stream one after another, on the stream's goroutine.
func (s *Server) callbacks() serverv3.Callbacks {
	return serverv3.CallbackFuncs{
		StreamOpenFunc:        func(context.Context, int64, string) error { return errDeltaOnly },
		DeltaStreamOpenFunc:   s.streamOpened,
		DeltaStreamClosedFunc: func(id int64, _ *corev3.Node) { s.acks.closed(id) },
		StreamDeltaRequestFunc: func(id int64, req *discoveryv3.DeltaDiscoveryRequest) error {
			if err := s.acks.requested(id, req); err != nil {
				return status.Error(codes.InvalidArgument, err.Error())
			}
			return nil
		},
		StreamDeltaResponseFunc: func(id int64, _ *discoveryv3.DeltaDiscoveryRequest, resp *discoveryv3.DeltaDiscoveryResponse) {
			cause, _ := s.cache.current().causeOf(resp, s.now())
			s.acks.responded(id, resp, cause)
		},
	}
}

func (s *Server) streamOpened(ctx context.Context, id int64, _ string) error {
	if s.cache.current() == nil {
		return status.Error(codes.Unavailable, "the configuration has not been read yet")
	}
	address := ""
	if p, ok := peer.FromContext(ctx); ok {
		address = p.Addr.String()
	}
	s.acks.opened(id, address)
	return nil
}
