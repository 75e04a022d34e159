package listen

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

const (
	// streamWindow is how much unread data a stream may send, and connWindow how much
	// all streams of a connection may. Both are fixed: otherwise gRPC would let them
	// grow with the bandwidth, to 16 MiB for each unread stream.
	streamWindow = 64 << 10
	connWindow   = 1 << 20
	// maxHeaderList bounds the metadata of one call, which is kept as long as the call.
	maxHeaderList = 16 << 10

	handshakeTimeout = 10 * time.Second
	// maxIdle is how long a connection without a call is kept. Clients connect again by
	// themselves at their next call.
	maxIdle = 5 * time.Minute
	// pingEvery finds callers that are gone without closing the connection. Callers
	// may ping as often as minPing.
	pingEvery   = time.Minute
	pingTimeout = 20 * time.Second
	minPing     = 10 * time.Second
)

// ServerOptions bound a gRPC server's connections: at most streams calls at once on
// each, static windows, idle and handshake timeouts, no compressed requests.
func ServerOptions(streams uint32) []grpc.ServerOption {
	return append([]grpc.ServerOption{
		grpc.MaxConcurrentStreams(streams),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.MaxHeaderListSize(maxHeaderList),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: maxIdle, Time: pingEvery, Timeout: pingTimeout}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
	}, Uncompressed()...)
}

// Uncompressed refuses compressed requests with UNIMPLEMENTED, gRPC's code for an
// unknown encoding. Compression gains nothing on loopback, and 15 KB can unpack to 16
// MiB. A request is refused without unpacking it.
func Uncompressed() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.RPCDecompressor(unpackNothing{}), //nolint:staticcheck // the OTLP exporter registers gzip for the whole process
		grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			if err := compressed(ctx); err != nil {
				return nil, err
			}
			return handle(ctx, req)
		}),
		grpc.ChainStreamInterceptor(func(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			if err := compressed(s.Context()); err != nil {
				return err
			}
			return handle(srv, s)
		}),
	}
}

// compressed returns the answer to a call whose messages are compressed.
func compressed(ctx context.Context) error {
	s, ok := grpc.ServerTransportStreamFromContext(ctx).(interface{ RecvCompress() string })
	if !ok {
		return nil
	}
	if name := s.RecvCompress(); name != "" && name != encoding.Identity {
		return status.Errorf(codes.Unimplemented, "grpc-encoding %.20q is not served: send messages uncompressed", name)
	}
	return nil
}

// unpackNothing replaces gzip, because a unary call's message is unpacked before any
// interceptor runs.
type unpackNothing struct{}

// Do implements grpc.Decompressor.
func (unpackNothing) Do(io.Reader) ([]byte, error) { return nil, nil }

// Type implements grpc.Decompressor.
func (unpackNothing) Type() string { return "gzip" }

// LimitStreams refuses a stream with full's error while most streams are open, of
// those for which counted returns true. Unary calls are not counted, because they end
// soon.
func LimitStreams(most int64, counted func(method string) bool, full func() error) grpc.StreamServerInterceptor {
	var open atomic.Int64
	return func(srv any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		if !counted(info.FullMethod) {
			return handle(srv, s)
		}
		defer open.Add(-1)
		if open.Add(1) > most {
			return full()
		}
		return handle(srv, s)
	}
}
