package faults

import "slices"

// EventRoom returns the scenarios of this package.
func EventRoom() []Scenario {
	return slices.Concat(serviceRows, eventRows, lifeRows)
}
