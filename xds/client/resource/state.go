package resource

import "fmt"

// State is what is known of one resource.
type State int

// The states of a resource. The comment of package client draws them.
const (
	Requested State = iota + 1
	Acked
	Nacked
	DoesNotExist
)

// String returns the name CSDS gives the state.
func (s State) String() string {
	switch s {
	case Requested:
		return "REQUESTED"
	case Acked:
		return "ACKED"
	case Nacked:
		return "NACKED"
	case DoesNotExist:
		return "DOES_NOT_EXIST"
	default:
		return fmt.Sprintf("State(%d)", int(s))
	}
}
