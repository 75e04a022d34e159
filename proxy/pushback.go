package proxy

import (
	"context"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/warrenmesh/warren/proxy/rpcerr"
)

// pushbackKey is the trailer by which a gRPC client that retries by itself learns when
// (gRFC A6, "Pushback"); RetryInfo says the same to those who read details.
const pushbackKey = "grpc-retry-pushback-ms"

// pushback adds the trailer to the answers of a sidecar or a broker that is full.
func pushback(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	res, err := handle(ctx, req)
	if after, ok := rpcerr.Pushback(err); ok {
		// It fails only when the call is over, and then nobody reads it.
		_ = grpc.SetTrailer(ctx, metadata.Pairs(pushbackKey, strconv.FormatInt(after.Milliseconds(), 10)))
	}
	return res, err
}
