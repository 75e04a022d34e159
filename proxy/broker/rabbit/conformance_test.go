package rabbit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/internal/queueingtest"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/layout"
)

// proxied is a node the suite can hurt.
type proxied struct {
	*Node
	proxy *queueingtest.Proxy
}

func TestNodeIsADriver(t *testing.T) {
	t.Parallel()
	u := server(t)
	queueingtest.Run(t, queueingtest.Harness{
		Name:   "rabbit",
		Caps:   mesh.RabbitMQ.Capabilities(),
		Delays: serverDelays(t, u),
		New: func(t *testing.T) queueing.Driver {
			proxy := queueingtest.NewProxy(t, hostPort(u))
			o := options(t, u, proxy.Addr())
			o.ConfirmWatch = time.Minute // the suite holds confirms back for seconds
			n := New(o)
			runNode(t, n)
			return proxied{n, proxy}
		},
		Interrupt:    func(_ *testing.T, d queueing.Driver) { d.(proxied).proxy.Cut() },
		HoldConfirms: func(_ *testing.T, d queueing.Driver) func() { return d.(proxied).proxy.HoldReplies() },
		Alone:        alone,
		Delete:       func(t *testing.T, _ queueing.Driver, topology queueing.Topology) { deleteTopology(t, topology) },
	})
}

// serverDelays asks the server for its version.
func serverDelays(t *testing.T, u amqp.URI) bool {
	t.Helper()
	conn, err := amqp.Dial(u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return layout.DelaysRetries(fmt.Sprintf("%v %v", conn.Properties["product"], conn.Properties["version"]))
}

// alone starts a RabbitMQ of its own, which comes back when it is killed.
func alone(t *testing.T) (d queueing.Driver, restart func()) {
	t.Helper()
	b, err := localbroker.Start(t.Context(), localbroker.Options{
		Dir:    filepath.Join(t.TempDir(), "rabbitmq"),
		Want:   localbroker.WantFrom(os.Getenv),
		Skip:   []localbroker.Step{localbroker.Running},
		Report: func(line string) { t.Log(line) },
	})
	if err != nil {
		t.Fatalf("start a private RabbitMQ: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.Supervise(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := b.Stop(context.Background()); err != nil {
			t.Errorf("stop the private RabbitMQ: %v", err)
		}
	})
	u, err := amqp.ParseURI(b.URL)
	if err != nil {
		t.Fatalf("parse URL: %v", err)
	}
	n := New(options(t, u, hostPort(u)))
	runNode(t, n)
	return n, func() {
		if err := b.Kill(t.Context()); err != nil {
			t.Fatalf("kill the private RabbitMQ: %v", err)
		}
	}
}
