package status

import (
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/xds/server"
)

// InForce is a set that is served. It is immutable.
type InForce struct {
	// Version is a hash of the content.
	Version string
	// Objects of the set.
	Objects []declare.Object
	// Counters of each object. One that has none is not in force.
	Counters map[v1alpha1.ObjectName]Counter
	// Versions of what is served.
	Versions map[resolve.ResourceKey]string
}

// Snapshot is the state of the mesh at one moment.
type Snapshot struct {
	// Version and LoadedAt are of the set in force; zero before the first good one.
	Version  string
	LoadedAt time.Time
	// Problems of the newest set, if it is not in force.
	Problems []declare.Problem
	// Objects by kind, namespace and name.
	Objects []Object
	// Sidecars that are connected; nil in what Observe returns.
	Sidecars []server.Sidecar
	// Versions of the resources that should be in force.
	Versions map[resolve.ResourceKey]string
}

// Object is the status of one object.
type Object struct {
	// Name of the object.
	Name v1alpha1.ObjectName
	// Conditions Accepted, ResolvedRefs and Programmed. The first two observed the
	// generation of the newest declaration, the last that of the one in force.
	Conditions []v1alpha1.Condition
	// Progress at the sidecars.
	Progress Progress
}
