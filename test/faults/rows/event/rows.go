// Package event holds the rows whose fault is in the events or in the services that
// publish and receive them.
//
//   - event.go: events that are too large, invalid, late or unroutable, and stale acks
//   - service.go: services that are slow, silent or crash
//   - life.go: events that expire while they are retried
//
// It imports the rig, not another room of rows.
package event

import (
	"slices"

	"github.com/warrenmesh/warren/test/faults/rig"
)

// Rows returns the rows of this package.
func Rows() []rig.Scenario {
	return slices.Concat(serviceRows, eventRows, lifeRows)
}
