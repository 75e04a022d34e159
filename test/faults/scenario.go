package faults

import (
	"cmp"
	"slices"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
)

// Scenario is one row of the matrix.
type Scenario struct {
	// Row is its number in the matrix.
	Row  int
	Name string
	// Fault describes the injected fault, for the page.
	Fault string
	// Holds says what must hold in addition to the invariants, for the page; "" for
	// nothing.
	Holds string
	// Nodes is the number of RabbitMQ nodes: 1 or 3.
	Nodes int
	// Short scenarios are in the short set.
	Short bool
	// Quick scenarios are run by make test.
	Quick bool
	// Patience bounds the run. 0 means two minutes.
	Patience time.Duration

	run func(w *World) check.Expect
}

// Scenarios returns every scenario, by row.
func Scenarios() []Scenario {
	all := slices.Concat(brokerRows, clusterRows, networkRows, alarmRows, planeRows, serviceRows, eventRows, processRows, topologyRows, clockRows, foreignRows, policyRows, lifeRows, hostileRows)
	slices.SortFunc(all, func(a, b Scenario) int { return cmp.Compare(a.Row, b.Row) })
	return all
}

// Missing lists the rows without a scenario, with the reasons.
var Missing = map[int]string{
	31: "certificates are not configured by hand yet: the sidecar's TLS comes with the issue on security",
}
