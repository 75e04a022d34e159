package server

import (
	"context"
	"errors"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/config"
	"github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

var (
	errDeltaOnly = status.Error(codes.Unimplemented, "state-of-the-world xDS is not served: use delta (DeltaAggregatedResources)")
	errNotYet    = status.Error(codes.Unavailable, "the configuration has not been read yet")
	errSilent    = errors.New("no request came")
)

// service is the discovery service. Each stream has a library server of its own. So
// the library's callbacks go to that stream's state, without a lock that streams
// share.
type service struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	*Server
}

// StreamAggregatedResources refuses a state-of-the-world stream.
func (s *service) StreamAggregatedResources(discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return errDeltaOnly
}

// DeltaAggregatedResources serves one stream until it ends.
func (s *service) DeltaAggregatedResources(g discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	if s.cache.current() == nil {
		return errNotYet
	}
	st := s.newStream(g.Context())
	if err := s.admission.enter(st); err != nil {
		s.admission.tell(st, err, s.now())
		return err
	}
	defer st.close()
	// Ends with the server, or when the stream says nothing.
	ctx, cancel := context.WithCancelCause(s.ctx)
	defer cancel(nil)
	patience := s.admission.limits.FirstRequest
	silence := time.AfterFunc(patience, func() { cancel(errSilent) })
	defer silence.Stop()
	st.spoke = silence
	// An empty subscription means nothing, not everything.
	library := delta.NewServer(ctx, &watcher{st}, &listener{st}, config.DeactivateLegacyWildcard())
	err := library.DeltaStreamHandler(&quietStream{g, st}, resource.AnyType)
	if err == nil && errors.Is(context.Cause(ctx), errSilent) {
		return status.Errorf(codes.DeadlineExceeded, "no request came within %v", patience)
	}
	if code := status.Code(err); code == codes.InvalidArgument || code == codes.ResourceExhausted {
		s.admission.tell(st, err, s.now())
	}
	return err
}

// quietStream is a stream as the library sees it. It drops responses that turned out
// to be empty.
type quietStream struct {
	discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer

	stream *stream
}

// Send runs on the stream's goroutine, as what decides to keep a response back does.
func (q *quietStream) Send(resp *discoveryv3.DeltaDiscoveryResponse) error {
	if q.stream.mute {
		q.stream.mute = false
		return nil
	}
	return q.AggregatedDiscoveryService_DeltaAggregatedResourcesServer.Send(resp)
}

// listener receives the library's callbacks of a stream, one after another on the
// stream's goroutine.
type listener struct{ stream *stream }

var _ delta.Callbacks = (*listener)(nil)

// OnDeltaStreamOpen implements delta.Callbacks.
func (l *listener) OnDeltaStreamOpen(context.Context, int64, string) error { return nil }

// OnDeltaStreamClosed implements delta.Callbacks.
func (l *listener) OnDeltaStreamClosed(int64, *corev3.Node) {}

// OnStreamDeltaRequest implements delta.Callbacks.
func (l *listener) OnStreamDeltaRequest(_ int64, req *discoveryv3.DeltaDiscoveryRequest) error {
	if err := l.stream.requested(req); err != nil {
		return err
	}
	// The subscription is the stream's to keep, and so is the node, which is that of
	// the first request whatever the later ones say. The library holds on to requests.
	typeURL := req.GetTypeUrl()
	proto.Reset(req)
	req.TypeUrl = typeURL
	return nil
}

// OnStreamDeltaResponse implements delta.Callbacks.
func (l *listener) OnStreamDeltaResponse(_ int64, _ *discoveryv3.DeltaDiscoveryRequest, resp *discoveryv3.DeltaDiscoveryResponse) {
	l.stream.responded(resp)
}
