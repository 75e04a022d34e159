package rabbit

import (
	"testing"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/brokertest"
	"github.com/warrenmesh/warren/xds/mesh"
)

// proxied is a node the suite can hurt.
type proxied struct {
	*Node
	proxy *brokertest.Proxy
}

func TestNodeIsADriver(t *testing.T) {
	t.Parallel()
	u := server(t)
	brokertest.Run(t, brokertest.Harness{
		Name: "rabbit",
		Caps: mesh.RabbitMQ.Capabilities(),
		New: func(t *testing.T) broker.Driver {
			proxy := brokertest.NewProxy(t, hostPort(u))
			o := options(t, u, proxy.Addr())
			o.ConfirmWatch = time.Minute // the suite holds confirms back for seconds
			n := New(o)
			runNode(t, n)
			return proxied{n, proxy}
		},
		Interrupt:    func(_ *testing.T, d broker.Driver) { d.(proxied).proxy.Cut() },
		HoldConfirms: func(_ *testing.T, d broker.Driver) func() { return d.(proxied).proxy.HoldReplies() },
		Delete:       func(t *testing.T, _ broker.Driver, topology broker.Topology) { deleteTopology(t, topology) },
	})
}
