package grpc

import (
	"context"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/warrenmesh/warren/proxy/door/rpcerr"
)

// pushbackKey is the trailer by which a gRPC client that retries by itself learns when
// (gRFC A6, "Pushback"); RetryInfo says the same to those who read details.
const pushbackKey = "grpc-retry-pushback-ms"

// refuse answers a unary call with err, nil included, and tells clients that retry by
// themselves when to come again if the sidecar or the broker is full.
func refuse(ctx context.Context, err error) error {
	if after, ok := rpcerr.Pushback(err); ok {
		// It fails only when the call is over, and then nobody reads it.
		_ = grpc.SetTrailer(ctx, metadata.Pairs(pushbackKey, strconv.FormatInt(after.Milliseconds(), 10)))
	}
	return rpcerr.From(err)
}
