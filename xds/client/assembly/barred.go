package assembly

import (
	"maps"

	"github.com/warrenmesh/warren/xds/client/resource"
)

// Made is what a broker is made of; Endpoints is nil when it has no network.
type Made struct{ Cluster, Endpoints *resource.Entry }

// Barred are the entries that an Apply refused. They stay refused until one of them,
// or one in its place, comes again, because the other entry may have been at fault.
// The resources stay subscribed to meanwhile.
type Barred map[Made]struct{}

// Has reports whether an Apply refused what was made of these.
func (b Barred) Has(m Made) bool {
	_, ok := b[m]
	return ok
}

// Allow forgets what e, which may be nil, was a part of, so that it is tried again.
func (b Barred) Allow(e *resource.Entry) {
	if e == nil {
		return // endpoints that a broker has none of are not these
	}
	maps.DeleteFunc(b, func(m Made, _ struct{}) bool { return m.Cluster == e || m.Endpoints == e })
}

// Keep forgets entries that the table does not have any more.
func (b Barred) Keep(t resource.Table) {
	gone := func(e *resource.Entry) bool { return e != nil && t.Accepted(e.TypeURL, e.Name) != e }
	maps.DeleteFunc(b, func(m Made, _ struct{}) bool { return gone(m.Cluster) || gone(m.Endpoints) })
}
