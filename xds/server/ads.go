package server

import (
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/xds/server/internal/delta"
)

var (
	errDeltaOnly = status.Error(codes.Unimplemented, "state-of-the-world xDS is not served: use delta (DeltaAggregatedResources)")
	errNotYet    = status.Error(codes.Unavailable, "the configuration has not been read yet")
)

// service is the discovery service.
type service struct {
	discoveryv3.UnimplementedAggregatedDiscoveryServiceServer

	*Server
}

// StreamAggregatedResources refuses a state-of-the-world stream.
func (s *service) StreamAggregatedResources(discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return errDeltaOnly
}

// transport is a stream of delta ADS.
type transport = discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer

// DeltaAggregatedResources serves one stream until it ends.
func (s *service) DeltaAggregatedResources(g transport) error {
	if s.cache.current.Load() == nil {
		return errNotYet
	}
	st := s.newStream(g.Context())
	if err := s.admission.enter(st); err != nil {
		s.admission.tell(st, err, s.now())
		return err
	}
	defer st.close()
	err := st.serve(g)
	if code := status.Code(err); code == codes.InvalidArgument || code == codes.ResourceExhausted {
		s.admission.tell(st, err, s.now())
	}
	return err
}

// serve sends and takes requests in, one after the other: what is due when a request
// comes goes before it is looked at. It returns when the other end has closed, when the
// server closes, and with an error.
func (s *stream) serve(g transport) error {
	// The goroutine ends with the stream, which ends when this function has returned.
	requests := make(chan delta.Request)
	go receive(g, requests)
	if err := s.awaitFirst(g, requests); err != nil || s.node.ID == "" {
		return err
	}
	for {
		select {
		case <-s.server.ctx.Done():
			return nil
		case <-s.mailbox:
		case req, more := <-requests:
			if !more {
				return nil
			}
			if err := s.take(g, req); err != nil {
				return err
			}
		}
		if err := s.flush(g); err != nil {
			return err
		}
	}
}

// awaitFirst takes the first request in, which has its time. Without one the stream has
// ended.
func (s *stream) awaitFirst(g transport, requests <-chan delta.Request) error {
	patience := s.server.admission.limits.FirstRequest
	silence := time.NewTimer(patience)
	defer silence.Stop()
	select {
	case <-s.server.ctx.Done():
		return nil
	case <-silence.C:
		return status.Errorf(codes.DeadlineExceeded, "no request came within %v", patience)
	case req, more := <-requests:
		if !more {
			return nil
		}
		if err := s.take(g, req); err != nil {
			return err
		}
		return s.flush(g)
	}
}

// take takes in a request, after what was due when it came.
func (s *stream) take(g transport, message delta.Request) error {
	if err := s.flush(g); err != nil {
		return err
	}
	req, err := message.Decode()
	if err != nil {
		return err
	}
	return s.requested(req)
}

// receive hands on requests until the stream ends.
func receive(g transport, requests chan<- delta.Request) {
	defer close(requests)
	for {
		var req delta.Request
		if err := g.RecvMsg(&req); err != nil {
			return
		}
		select {
		case requests <- req:
		case <-g.Context().Done():
			return
		}
	}
}

// flush sends what is due.
func (s *stream) flush(g transport) error {
	for {
		m, err := s.next()
		if err != nil || m == nil {
			return err
		}
		if err := g.SendMsg(m); err != nil {
			return err
		}
	}
}
