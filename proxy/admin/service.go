package admin

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	channelz "google.golang.org/grpc/channelz/service"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/internal/listen"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/deadletter"
	"github.com/warrenmesh/warren/proxy/tap"
)

// Sidecar is the sidecar that operators inspect and control. Its methods are called
// concurrently.
type Sidecar interface {
	// Ready returns nil, or why the sidecar is not ready.
	Ready() error
	// ServerInfo and ConfigDump return messages of the caller's own. They never
	// block and hold no secrets.
	ServerInfo() *adminv1.GetServerInfoResponse
	ConfigDump() *adminv1.GetConfigDumpResponse
	// Drain runs a phase of a drain and returns when it has ended. It returns false
	// when ctx ends first. It is idempotent.
	Drain(ctx context.Context, phase adminv1.DrainPhase) (clean bool)
	// FailHealthCheck makes the sidecar unready by hand, or ends that.
	FailHealthCheck(fail bool)
	// Quit asks the process to stop, as SIGTERM does. It returns at once.
	Quit()
}

// HeldKeys finds and releases the keys of ordered subscriptions that are held;
// deliver.Service implements it. A subscription that it does not know has none.
type HeldKeys interface {
	// HeldKeys returns the keys, sorted.
	HeldKeys(subscription mesh.Name) []string
	// ReleaseKeys releases the named keys, or all when none is named. It returns how
	// many were held.
	ReleaseKeys(subscription mesh.Name, keys ...string) int
}

// Options configure a Service.
type Options struct {
	// Sidecar is required.
	Sidecar Sidecar
	// Namespace is that of names without one in a tap. Required.
	Namespace string
	// Tap is what Tap listens to; nil refuses taps.
	Tap *tap.Bus
	// DeadLetters does the jobs on dead-letter queues; nil refuses them.
	DeadLetters *deadletter.Service
	// HeldKeys are those of ordered subscriptions; nil knows of none.
	HeldKeys HeldKeys
	// DrainTimeout is the longest and the default wait of a drain. Required.
	DrainTimeout time.Duration
	// LogLevel is changed by POST /logging; nil refuses that.
	LogLevel *slog.LevelVar
	// Metrics answers /stats/prometheus; nil leaves the path out.
	Metrics http.Handler
	// Quit lets POST /quitquitquit stop the process; Profiles serves /debug/pprof/.
	Quit     bool
	Profiles bool
	// NoReflection turns gRPC server reflection off.
	NoReflection bool
}

// Service answers warren.admin.v1.AdminService and the HTTP paths.
type Service struct {
	adminv1.UnimplementedAdminServiceServer
	opts Options
}

// NewService builds a service.
func NewService(opts Options) *Service { return &Service{opts: opts} }

const (
	// maxRequest bounds a request of an operator; the largest names keys to release.
	maxRequest = 1 << 20
	// maxWatches bounds the streams that have no bound of their own: health watches and
	// reflection.
	maxWatches = 64
)

// GRPC returns a server with AdminService, health, channelz and, unless it is turned
// off, reflection, for New. channelz shows every gRPC channel, server and socket of the
// process (gRFC A14).
func (s *Service) GRPC() *grpc.Server {
	g := grpc.NewServer(append(listen.Uncompressed(),
		grpc.MaxRecvMsgSize(maxRequest), grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.ChainStreamInterceptor(listen.LimitStreams(maxWatches, isWatch, func() error {
			return status.Error(codes.ResourceExhausted, "the sidecar serves as many streams as it may")
		})),
	)...)
	adminv1.RegisterAdminServiceServer(g, s)
	checks := health.NewServer()
	checks.SetServingStatus(adminv1.AdminService_ServiceDesc.ServiceName, healthv1.HealthCheckResponse_SERVING)
	healthv1.RegisterHealthServer(g, checks)
	if !s.opts.NoReflection {
		reflection.Register(g)
	}
	channelz.RegisterChannelzServiceToServer(g)
	return g
}

// isWatch reports whether a stream is none of AdminService, whose taps are bounded.
func isWatch(method string) bool {
	return !strings.HasPrefix(method, "/"+adminv1.AdminService_ServiceDesc.ServiceName+"/")
}

// GetServerInfo implements adminv1.AdminServiceServer.
func (s *Service) GetServerInfo(context.Context, *adminv1.GetServerInfoRequest) (*adminv1.GetServerInfoResponse, error) {
	return s.serverInfo(), nil
}

func (s *Service) serverInfo() *adminv1.GetServerInfoResponse {
	info := s.opts.Sidecar.ServerInfo()
	if s.opts.LogLevel != nil {
		info.LogLevel = levelName(s.opts.LogLevel.Level())
	}
	info.Taps = uint32(s.opts.Tap.Listeners()) //nolint:gosec // bounded by tap.MaxListeners
	return info
}

// GetConfigDump implements adminv1.AdminServiceServer.
func (s *Service) GetConfigDump(context.Context, *adminv1.GetConfigDumpRequest) (*adminv1.GetConfigDumpResponse, error) {
	return s.opts.Sidecar.ConfigDump(), nil
}

// Drain implements adminv1.AdminServiceServer.
func (s *Service) Drain(ctx context.Context, req *adminv1.DrainRequest) (*adminv1.DrainResponse, error) {
	switch req.GetPhase() {
	case adminv1.DrainPhase_DRAIN_PHASE_DELIVERY, adminv1.DrainPhase_DRAIN_PHASE_ALL:
	default:
		return nil, status.Error(codes.InvalidArgument, "phase: must be DRAIN_PHASE_DELIVERY or DRAIN_PHASE_ALL")
	}
	timeout := s.opts.DrainTimeout
	if req.Timeout != nil {
		if req.Timeout.CheckValid() != nil || req.Timeout.AsDuration() <= 0 {
			return nil, status.Error(codes.InvalidArgument, "timeout: must be positive")
		}
		timeout = min(timeout, req.Timeout.AsDuration())
	}
	return s.drain(ctx, req.GetPhase(), timeout), nil
}

// drain goes on when the caller is gone: a drain that stops half-way helps nobody.
func (s *Service) drain(ctx context.Context, phase adminv1.DrainPhase, timeout time.Duration) *adminv1.DrainResponse {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	begin := time.Now()
	clean := s.opts.Sidecar.Drain(ctx, phase)
	return &adminv1.DrainResponse{Took: durationpb.New(time.Since(begin)), Clean: clean}
}

// Tap implements adminv1.AdminServiceServer.
func (s *Service) Tap(req *adminv1.TapRequest, stream grpc.ServerStreamingServer[adminv1.TapResponse]) error {
	opts, err := s.tapOptions(req)
	if err != nil {
		return err
	}
	l, err := s.opts.Tap.Listen(opts)
	switch {
	case errors.Is(err, tap.ErrTooManyListeners):
		return status.Error(codes.ResourceExhausted, err.Error())
	case err != nil:
		return status.Error(codes.Unavailable, err.Error())
	}
	defer l.Close()
	if err := stream.Send(&adminv1.TapResponse{}); err != nil {
		return err
	}
	for r := l.Next(stream.Context().Done()); r != nil; r = l.Next(stream.Context().Done()) {
		if err := stream.Send(tapResponse(r)); err != nil {
			return err
		}
	}
	if stream.Context().Err() == nil {
		return status.Error(codes.Unavailable, "the sidecar is shutting down")
	}
	return stream.Context().Err()
}

func (s *Service) tapOptions(req *adminv1.TapRequest) (tap.Options, error) {
	opts := tap.Options{PayloadBytes: int(min(req.GetMaxPayloadBytes(), tap.MaxPayloadBytes))}
	for _, f := range []struct {
		field, text string
		to          *mesh.Name
	}{{"topic", req.GetTopic(), &opts.Topic}, {"subscription", req.GetSubscription(), &opts.Subscription}} {
		if f.text == "" {
			continue
		}
		name, err := mesh.ParseName(f.text, s.opts.Namespace)
		if err != nil {
			return opts, status.Error(codes.InvalidArgument, f.field+`: must be "name" or "namespace/name", `+mesh.NameRule)
		}
		*f.to = name
	}
	if req.SamplePercent != nil {
		// Written so that NaN is refused, too.
		if p := req.GetSamplePercent(); !(p > 0 && p <= 100) {
			return opts, status.Error(codes.InvalidArgument, "sample_percent: must be above 0 and at most 100")
		}
		opts.SamplePercent = req.GetSamplePercent()
	}
	return opts, nil
}
