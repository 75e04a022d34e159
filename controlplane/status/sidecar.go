package status

import (
	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/xds/server"
)

// States of a sidecar over all its resources, as istioctl's proxy-status names
// them.
const (
	SidecarSynced  = "SYNCED"
	SidecarNotSent = "NOT_SENT" // nothing was sent to it
	SidecarStale   = "STALE"    // an answer is outstanding
	SidecarNack    = "NACK"     // it refused something
)

// SidecarState sums up how far a sidecar is with its resources; versions are those
// that should be in force.
func SidecarState(s *server.Sidecar, versions map[resolve.ResourceKey]string) string {
	if len(s.Resources) == 0 {
		return SidecarNotSent
	}
	state := SidecarSynced
	for _, r := range s.Resources {
		// Neither exists for the sidecar nor here: that is in sync. A name that is
		// gone here and not yet there differs.
		version := versions[resolve.ResourceKey{TypeURL: r.TypeURL, Name: r.Name}]
		switch {
		case r.State == server.Nacked:
			return SidecarNack
		case r.State == server.Sent || r.Version != version:
			state = SidecarStale
		}
	}
	return state
}
