package server

import (
	"time"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server/internal/delta"
)

// State is what a sidecar did with the version of a resource that it was sent last.
type State = delta.State

// The states of a resource. Sent is not accepted: only Acked is.
const (
	Sent   = delta.Sent
	Acked  = delta.Acked
	Nacked = delta.Nacked
	// DoesNotExist: the sidecar asked for the name, and the server answered that there
	// is none.
	DoesNotExist = delta.DoesNotExist
)

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

func resourceState(typeURL, name string, s *delta.Status) ResourceState {
	return ResourceState{TypeURL: typeURL, Name: name, Version: s.Version, Acked: s.Acked, State: s.State, Error: s.Error, Since: s.Since}
}
