package guard

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// ServerOptions are for a gRPC server that does not stand behind a Handler: calls that
// Handler would refuse get PERMISSION_DENIED.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.ChainUnaryInterceptor(unary), grpc.ChainStreamInterceptor(stream)}
}

func unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := checkCall(ctx); err != nil {
		return nil, err
	}
	return handle(ctx, req)
}

func stream(srv any, s grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	if err := checkCall(s.Context()); err != nil {
		return err
	}
	return handle(srv, s)
}

func checkCall(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	r := request{host: first(md, ":authority"), origin: first(md, "origin"), site: first(md, "sec-fetch-site")}
	if p, ok := peer.FromContext(ctx); ok {
		r.local = p.LocalAddr
	}
	if err := check(r); err != nil {
		return status.Error(codes.PermissionDenied, err.Error())
	}
	return nil
}

func first(md metadata.MD, key string) string {
	if values := md.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}
