package client

import (
	"cmp"
	"slices"
	"time"

	"github.com/warrenmesh/warren/xds/client/resource"
)

// Status is what the client knows at one moment, for readiness, admin and logs.
type Status struct {
	// Server is the control plane's target.
	Server string
	// Connected is true while a stream stands.
	Connected bool
	// LastContact is when the last message came; zero means never.
	LastContact time.Time
	// LastError is why there is no stream, or why the last one ended. It stays when
	// a new stream stands.
	LastError string
	// Applied is false until Apply has returned once.
	Applied bool
	// Version and AppliedAt are of the snapshot in force.
	Version   string
	AppliedAt time.Time
	// FromDisk is true while the snapshot in force comes from the state file and the
	// control plane has not answered since the start.
	FromDisk bool
	// StateFileError is why the state file could not be read or written the last
	// time; "" when it could.
	StateFileError string
	// Resources is everything asked for or brought by the wildcard, by type and name.
	Resources []ResourceStatus
}

// State is what is known of one resource.
type State = resource.State

// The states of a resource; the package comment draws them.
const (
	Requested    = resource.Requested
	Acked        = resource.Acked
	Nacked       = resource.Nacked
	DoesNotExist = resource.DoesNotExist
)

// ResourceStatus is the state of one resource.
type ResourceStatus struct {
	TypeURL string
	Name    string
	State   State
	// Version is the last good one, kept while a later one is rejected or the
	// resource is deleted; "" when there was none.
	Version string
	// RejectedVersion is set when State is Nacked.
	RejectedVersion string
	// Error is why State is Nacked or DoesNotExist, or the last error the control
	// plane reported while it is Requested.
	Error string
}

// Status returns a copy of what is known.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Status{
		Server:         c.opts.Server,
		Connected:      c.connected,
		LastContact:    c.lastContact,
		LastError:      c.lastError,
		StateFileError: c.stateFileError,
	}
	if c.snapshot != nil {
		s.Applied, s.Version, s.AppliedAt = true, c.snapshot.Version, c.snapshot.At
		s.FromDisk = c.snapshot.FromDisk && c.lastContact.IsZero()
	}
	for typeURL, rows := range c.table {
		for name, r := range rows {
			rs := ResourceStatus{TypeURL: typeURL, Name: name, State: r.State, Version: r.Version(), RejectedVersion: r.Rejected, Error: r.Err}
			s.Resources = append(s.Resources, rs)
		}
	}
	slices.SortFunc(s.Resources, func(a, b ResourceStatus) int {
		return cmp.Or(cmp.Compare(a.TypeURL, b.TypeURL), cmp.Compare(a.Name, b.Name))
	})
	return s
}
