package faults

import "slices"

// StrangerRoom returns the scenarios of this package.
func StrangerRoom() []Scenario {
	return slices.Concat(foreignRows, hostileRows)
}
