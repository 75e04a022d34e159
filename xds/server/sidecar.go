package server

import (
	"fmt"
	"time"

	"github.com/warrenmesh/warren/xds"
)

// State is what a sidecar did with the version of a resource that it was sent last.
type State int

// The states of a resource. Sent is not accepted: only Acked is.
const (
	Sent State = iota + 1
	Acked
	Nacked
	// DoesNotExist: the sidecar asked for the name, and the server answered that there
	// is none.
	DoesNotExist
)

// String returns the state's name, as CSDS spells it.
func (s State) String() string {
	switch s {
	case Sent:
		return "SENT"
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

// Sidecar is one connected sidecar.
type Sidecar struct {
	Node        xds.Node
	Peer        string // address of its end of the connection
	ConnectedAt time.Time
	// Resources are what it has been sent or told not to exist, ordered by type
	// and name; of the latter 100 a type.
	Resources []ResourceState
}

// ResourceState is one resource as one sidecar has it.
type ResourceState struct {
	TypeURL string
	Name    string
	Version string // last sent; "" when it does not exist
	Acked   string // last accepted; "" for none
	State   State
	Error   string    // why Version was refused; "" unless Nacked
	Since   time.Time // when it came into State
}
