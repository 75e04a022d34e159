package proxy

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/warrenmesh/warren/proxy/rpcerr"
)

// call is a unary call that keeps its trailer.
type call struct {
	grpc.ServerTransportStream
	trailer metadata.MD
}

func (c *call) SetTrailer(md metadata.MD) error {
	c.trailer = md
	return nil
}

func TestAFullSidecarTellsRetryingClientsWhenToComeAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"full":     {rpcerr.Exhausted(rpcerr.BufferFull, "full"), "200"},
		"draining": {rpcerr.Unavailable(rpcerr.Draining, "bye"), ""},
		"ok":       {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &call{}
			_, err := pushback(grpc.NewContextWithServerTransportStream(t.Context(), c), nil, nil, func(context.Context, any) (any, error) {
				return nil, test.err
			})
			got := ""
			if values := c.trailer.Get(pushbackKey); len(values) > 0 {
				got = values[0]
			}
			if got != test.want || rpcerr.Reason(err) != rpcerr.Reason(test.err) {
				t.Errorf("trailer %q with %v, want %q", got, err, test.want)
			}
		})
	}
}
