package logbroker_test

import (
	"context"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/internal/brokertest"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/test/internal/logbroker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheSeamNeedsNoQueues(t *testing.T) {
	t.Parallel()
	b := logbroker.New()
	brokertest.Run(t, brokertest.Harness{
		Name: "log",
		New: func(t *testing.T) broker.Driver {
			d := b.Driver()
			ctx, cancel := context.WithCancel(context.Background())
			var running sync.WaitGroup
			running.Go(func() { _ = d.Run(ctx) })
			t.Cleanup(func() { cancel(); running.Wait() })
			return d
		},
		Interrupt: func(_ *testing.T, d broker.Driver) { d.(*logbroker.Driver).Interrupt() },
		Strange: func(_ *testing.T, _ broker.Driver, to *mesh.Destination, body []byte) {
			b.Append(to, body)
		},
	})
}
