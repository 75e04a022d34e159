// Package process holds the rows whose fault is in a process of Warren.
//
//   - sidecar.go: a sidecar is stopped, killed or has no file descriptors
//   - plane.go: the control plane is away, spoilt or busy
//   - clock.go: the sidecars' clock jumps
//
// It imports the rig, not another room of rows.
package process

import (
	"slices"

	"github.com/warrenmesh/warren/test/faults/rig"
)

// Rows returns the rows of this package.
func Rows() []rig.Scenario {
	return slices.Concat(planeRows, processRows, clockRows)
}
