package grpc

import (
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
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
		"full":     {refusal.Full(refusal.BufferFull, "full"), "200"},
		"draining": {refusal.Later(refusal.Draining, "bye"), ""},
		"ok":       {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &call{}
			err := refuse(grpc.NewContextWithServerTransportStream(t.Context(), c), test.err)
			got := ""
			if values := c.trailer.Get(pushbackKey); len(values) > 0 {
				got = values[0]
			}
			if got != test.want || rpcerr.Reason(err) != refusal.Reason(test.err) {
				t.Errorf("trailer %q with %v, want %q", got, err, test.want)
			}
		})
	}
}
