package membroker_test

import (
	"context"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/internal/queueingtest"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/membroker/faulty"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testNode is a node with its broker at hand.
type testNode struct {
	*membroker.Node
	broker *faulty.Broker
}

// start runs a new node of b until the test ends.
func start(t *testing.T, b *faulty.Broker, options membroker.NodeOptions) testNode {
	t.Helper()
	node := b.Node(options)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := node.Run(ctx); err != nil {
			t.Errorf("run node: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return testNode{node, b}
}

func newBroker(t *testing.T, options membroker.Options) *faulty.Broker {
	t.Helper()
	b := faulty.New(options)
	t.Cleanup(b.Close)
	return b
}

func TestConformance(t *testing.T) {
	t.Parallel()
	// It keeps more than its type promises; what it keeps must be right as well.
	caps := mesh.Memory.Capabilities()
	caps.Priorities, caps.Expiration = true, true
	queueingtest.Run(t, queueingtest.Harness{
		Name: "membroker",
		Caps: caps, Delays: true,
		New: func(t *testing.T) queueing.Driver {
			return start(t, newBroker(t, membroker.Options{}), membroker.NodeOptions{})
		},
		Join: func(t *testing.T, d queueing.Driver) queueing.Driver {
			return start(t, d.(testNode).broker, membroker.NodeOptions{})
		},
		Interrupt: func(_ *testing.T, d queueing.Driver) { n := d.(testNode); n.broker.InterruptNode(n.Node) },
		HoldConfirms: func(_ *testing.T, d queueing.Driver) (release func()) {
			return d.(testNode).broker.HoldConfirms()
		},
	})
}
