package membroker_test

import (
	"testing"

	"github.com/warrenmesh/warren/internal/brokertest"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// testDriver is a node of the seam with what is below it at hand.
type testDriver struct {
	*queueing.Node
	below testNode
}

func TestTheSeam(t *testing.T) {
	t.Parallel()
	b := newBroker(t, membroker.Options{})
	brokertest.Run(t, brokertest.Harness{
		Name: "membroker",
		New: func(t *testing.T) broker.Driver {
			below := start(t, b, membroker.NodeOptions{})
			return testDriver{queueing.NewNode(below), below}
		},
		Interrupt: func(_ *testing.T, d broker.Driver) { n := d.(testDriver).below; n.broker.InterruptNode(n.Node) },
	})
}
