// Package stranger holds the rows whose fault comes from a program that does not belong
// to the mesh.
//
//   - foreign.go: messages of other programs in Warren's exchanges, and events too large
//     to be copied
//   - message.go: sending such messages, and finding them again whole
//   - client.go: a hostile client of a sidecar
//   - peer.go: a hostile client of the control plane
//   - knob.go: a setting that changes, to see when a change is in force
//
// It imports the rig, not another room of rows.
package stranger

import (
	"slices"

	"github.com/warrenmesh/warren/test/faults/rig"
)

// Rows returns the rows of this package.
func Rows() []rig.Scenario {
	return slices.Concat(foreignRows, hostileRows)
}
