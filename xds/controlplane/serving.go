package controlplane

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
)

// listeners are the three ways in.
type listeners struct{ xds, admin, status net.Listener }

// open opens all of them or none.
func (l *listeners) open(ctx context.Context, o *Options) error {
	var opened []net.Listener
	for _, next := range []struct {
		to      *net.Listener
		address string
	}{{&l.xds, o.XDSListen}, {&l.admin, o.AdminListen}, {&l.status, o.StatusListen}} {
		listener, err := listen(ctx, next.address)
		if err != nil {
			for _, o := range opened {
				err = errors.Join(err, o.Close())
			}
			return err
		}
		*next.to = listener
		opened = append(opened, listener)
	}
	return nil
}

// newAdminServer serves MeshService, with health and reflection beside it.
func (c *ControlPlane) newAdminServer() *grpc.Server {
	s := grpc.NewServer(grpc.WaitForHandlers(true))
	adminv1.RegisterMeshServiceServer(s, &meshService{observe: c.observe, now: c.opts.Now, version: c.opts.Version})
	checks := health.NewServer()
	checks.SetServingStatus(adminv1.MeshService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(s, checks)
	reflection.Register(s)
	return s
}

// stopGRPC lets calls in flight end, for a while.
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
