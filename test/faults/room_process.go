package faults

import "slices"

// ProcessRoom returns the scenarios of this package.
func ProcessRoom() []Scenario {
	return slices.Concat(planeRows, processRows, clockRows)
}
