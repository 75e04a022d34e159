package controlplane

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/internal/guard"
	"github.com/warrenmesh/warren/internal/listen"
)

// listeners are the three ports of the control plane: xDS, mesh API and status.
type listeners struct{ xds, admin, status net.Listener }

// open opens all of them or none.
func (l *listeners) open(ctx context.Context, o *Options) error {
	var opened []net.Listener
	for _, next := range []struct {
		to      *net.Listener
		address string
		bounds  listen.Bounds
	}{
		{&l.xds, o.XDSListen, listen.Bounds{Name: "xds", Conns: o.xdsConnections(), Protocol: listen.HTTP2, Partial: listen.LoggedPartial(maxPartialBytes, o.Logger)}},
		{&l.admin, o.AdminListen, listen.Bounds{Name: "admin", Conns: adminConnections, Protocol: listen.HTTP2}},
		{&l.status, o.StatusListen, listen.Bounds{Name: "status", Conns: statusConnections, Protocol: listen.HTTP1}},
	} {
		listener, err := openListener(ctx, next.address)
		if err != nil {
			for _, o := range opened {
				err = errors.Join(err, o.Close())
			}
			return err
		}
		next.bounds.Logger = o.Logger
		*next.to = listen.Bound(listener, next.bounds)
		opened = append(opened, listener)
	}
	return nil
}

// xdsConnections is how many connections the xDS port has at most: one for each stream
// that may be open, and some for those that are just made or replaced.
func (o *Options) xdsConnections() int {
	streams := o.Limits.WithDefaults().Streams
	if streams < 0 {
		return manyConnections
	}
	return streams + streams/10 + spareConnections
}

const (
	// spareConnections are those of the xDS port beyond its streams, manyConnections all of
	// them where streams are not bounded.
	spareConnections = 16
	manyConnections  = 1 << 16
	// maxPartialBytes bounds requests that have come in part, of all xDS peers: 16 of the
	// largest.
	maxPartialBytes = 64 << 20
	// statusConnections is for probes and scrapes, adminConnections for operators.
	statusConnections = 64
	adminConnections  = 64
	// adminStreams bounds the calls at once of one connection to the mesh API, and the
	// streams of all: health watches and reflection.
	adminStreams    = 64
	maxAdminRequest = 1 << 20
)

// newAdminServer serves MeshService, with health and, unless it is turned off,
// reflection beside it. Pages of other sites get nothing.
func (c *ControlPlane) newAdminServer() *grpc.Server {
	s := grpc.NewServer(append(append(listen.ServerOptions(adminStreams), guard.ServerOptions()...),
		grpc.WaitForHandlers(true), grpc.MaxRecvMsgSize(maxAdminRequest),
		grpc.ChainStreamInterceptor(listen.LimitStreams(adminStreams, func(string) bool { return true }, func() error {
			return status.Error(codes.ResourceExhausted, "the control plane serves as many streams as it may")
		})),
	)...)
	adminv1.RegisterMeshServiceServer(s, &meshService{observe: c.state.Snapshot, reports: c.reports, now: c.opts.Now, version: c.opts.Version})
	checks := health.NewServer()
	checks.SetServingStatus(adminv1.MeshService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(s, checks)
	if !c.opts.NoReflection {
		reflection.Register(s)
	}
	return s
}

// stopGRPC waits for calls in flight, for a bounded time.
func stopGRPC(s *grpc.Server) {
	hard := time.AfterFunc(stopTimeout, s.Stop)
	defer hard.Stop()
	s.GracefulStop()
}

func stopHTTP(s *http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	return nil
}
