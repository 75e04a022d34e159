package delta

import (
	"fmt"
	"time"
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

// Status is a resource as one sidecar has it. The zero value means that it neither was
// sent nor is known not to exist.
type Status struct {
	Version string // last sent; "" when it does not exist
	Acked   string // last accepted; "" for none
	State   State
	Error   string    // why Version was refused; "" unless Nacked
	Since   time.Time // when it came into State
}

// Ack notes that the sidecar has accepted a version.
func (s *Status) Ack(version string, now time.Time) {
	s.Acked = version
	if s.Version == version {
		s.State, s.Error, s.Since = Acked, "", now
	}
}

// Nack notes that the sidecar has refused a version. It returns false when the sidecar
// was sent another one since, which is still to be answered.
func (s *Status) Nack(version, reason string, now time.Time) bool {
	if s.Version != version {
		return false
	}
	s.State, s.Error, s.Since = Nacked, reason, now
	return true
}

// row is what is known of one name: nothing is kept of a name that is none of these.
type row struct {
	named  bool // it is asked for by name
	told   held // zero when the sidecar was not told of it
	status Status
}

// held is what a sidecar has of a resource.
type held struct {
	version string
	state   knowledge
}

// knowledge says what a held means. The zero value is never stored, so a missing map
// entry differs from every held.
type knowledge int

const (
	present  knowledge = iota + 1 // it has the version
	absent                        // it was told that the resource does not exist
	doubtful                      // it must be sent again, whatever it has
	withheld                      // it was told that the version is too large for it
)
