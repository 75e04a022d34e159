package process

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// FreePorts returns n loopback addresses nobody listens on. They are all held
// until the last is found, so no two are the same; afterwards another process may
// still take one, which shows as a failure to start.
func FreePorts(ctx context.Context, n int) (addresses []string, err error) {
	for range n {
		listener, lerr := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if lerr != nil {
			return nil, fmt.Errorf("find a free port: %w", lerr)
		}
		defer func() { err = errors.Join(err, listener.Close()) }()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}
