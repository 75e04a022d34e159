package server

import (
	"context"
	"log/slog"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/warrenmesh/warren/tracing/configuration"
	"github.com/warrenmesh/warren/tracing/tracecontext"
	"github.com/warrenmesh/warren/xds/server/internal/delta"
	"github.com/warrenmesh/warren/xds/wire"
)

// Options configures a Server.
type Options struct {
	// Logger receives connects, disconnects and rejections. Nil discards them.
	Logger *slog.Logger
	// Now tells the time. Nil means time.Now.
	Now func() time.Time
	// Limits bound what peers can make the server hold.
	Limits Limits
	// Tracing gets a span for each answer of a sidecar to a change, from the send to
	// the answer; nil makes none.
	Tracing *configuration.Tracer
}

// Server serves delta ADS. Make it with New.
type Server struct {
	// Set at construction.
	logger  *slog.Logger
	now     func() time.Time
	tracing *configuration.Tracer
	ctx     context.Context //nolint:containedctx // the life of all streams, ended by Close
	stop    context.CancelFunc

	cache     *cache
	admission *admission
	traffic   traffic
	changed   signal
}

// New returns a server that refuses streams with UNAVAILABLE until the first
// Update.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		logger: o.Logger, now: o.Now, tracing: o.Tracing,
		cache: newCache(), admission: newAdmission(o.Limits, o.Logger), traffic: newTraffic(),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s
}

// Register adds the discovery service to g, which must have been made with
// ServerOptions.
func (s *Server) Register(g *grpc.Server) {
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, &service{Server: s})
}

// View is everything that is served.
type View struct {
	// Resources are sent to whoever asks for them by name.
	Resources []wire.Resource
	// Scoped are Listeners, sent to the sidecars they concern that ask for "*".
	Scoped []Scoped
	// Cause is the trace context of the change that made the view; zero means that
	// its pushes belong to no trace. Version names the view in their spans.
	Cause   tracecontext.Hop
	Version string
	// Groups whose counts are kept while the view is served.
	Groups []*Group
	// Adopted, if it is not nil, is called once the view is served and its groups are
	// counted, and before a sidecar is told. It must not call Update.
	Adopted func()
}

// Scoped is a Listener for some sidecars. One that it does not concern cannot get
// it by name either.
type Scoped = delta.Scoped

// Update replaces what is served. The caller gives up v's slices. Of two resources
// of one type and name the last wins.
func (s *Server) Update(v View) { s.cache.update(v, s.now()) }

// Sidecars returns the connected sidecars and what each has accepted, ordered by node
// id. Several streams may claim to be one node: an old connection that is not known to
// be dead yet, or an impostor. All of them are returned, the oldest first.
func (s *Server) Sidecars() []Sidecar { return s.sidecars() }

// Changed returns a channel that is closed when what Sidecars returns has changed
// since this call. Call it before Sidecars so as to miss nothing.
func (s *Server) Changed() <-chan struct{} { return s.changed.wait() }

// Close ends all streams, and every later one at once. A gRPC server's
// GracefulStop would wait for them.
func (s *Server) Close() { s.stop() }

// Keepalive of a stream that may be silent for days.
const (
	minPingInterval = 10 * time.Second // a client may ping this often
	pingInterval    = 30 * time.Second // the server's own, which finds dead sidecars
	pingTimeout     = 20 * time.Second
)

// Bounds of a connection.
const (
	maxStreamsPerConnection = 100
	maxHeaderBytes          = 64 << 10
	handshakeTimeout        = 20 * time.Second
	// idleTimeout ends connections without a stream.
	idleTimeout = 5 * time.Minute
	// The windows do not grow with the bandwidth: requests are small.
	streamWindow     = 256 << 10
	connectionWindow = 1 << 20
)

// ServerOptions are what a gRPC server needs for this service.
func ServerOptions() []grpc.ServerOption { //nolint:revive // it is named after what it returns
	return []grpc.ServerOption{
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingInterval, Timeout: pingTimeout, MaxConnectionIdle: idleTimeout}),
		grpc.MaxConcurrentStreams(maxStreamsPerConnection),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connectionWindow),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.ForceServerCodecV2(delta.NewCodec()),
		grpc.StatsHandler(connections{}),
	}
}
