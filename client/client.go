package events

import (
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// serviceConfig makes calls wait for a sidecar that is starting or restarting,
// within their deadline, instead of failing at once.
const serviceConfig = `{"methodConfig": [{
  "name": [{"service": "warren.events.v1.EventService"}],
  "waitForReady": true
}]}`

// Dial makes a client of the service's own sidecar. It does not connect yet. The
// traffic stays on this host, hence no TLS.
func Dial(target string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	options = append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(serviceConfig),
	}, options...)
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, fmt.Errorf("dial sidecar %q: %w", target, err)
	}
	return conn, nil
}

// newBackoff doubles from base to 20 times base, with jitter. base 0 means 100 ms.
func newBackoff(base time.Duration) *backoff.ExponentialBackOff {
	if base == 0 {
		base = 100 * time.Millisecond
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval = base
	wait.MaxInterval = 20 * base
	wait.Multiplier = 2
	return wait
}
