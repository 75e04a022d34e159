package pool

import (
	"slices"

	"github.com/warrenmesh/warren/proxy/broker"
)

func equalTopology(a, b broker.Topology) bool {
	return a.Policy == b.Policy &&
		slices.Equal(a.Exchanges, b.Exchanges) &&
		slices.Equal(a.Queues, b.Queues) &&
		slices.Equal(a.Bindings, b.Bindings)
}
