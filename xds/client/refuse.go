package client

import (
	"errors"
	"fmt"
	"maps"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// Refusals say which brokers of a snapshot an Apply cannot put in force, and why. With one
// of them nothing of the snapshot is in force.
type Refusals map[mesh.Name]error

// refused is a resource that decodes and cannot be put in force.
type refused struct {
	typeURL string
	wire.Rejection
}

// made is what a broker is made of; endpoints is nil when it has no network.
type made struct{ cluster, endpoints *entry }

// barred are the entries that an Apply refused. They stay refused until one of them,
// or one in its place, comes again, because the other entry may have been at fault.
// The resources stay subscribed to meanwhile.
type barred map[made]struct{}

func (b barred) has(m made) bool {
	_, ok := b[m]
	return ok
}

// allow forgets what e, which may be nil, was a part of, so that it is tried again.
func (b barred) allow(e *entry) {
	if e == nil {
		return // endpoints that a broker has none of are not these
	}
	maps.DeleteFunc(b, func(m made, _ struct{}) bool { return m.cluster == e || m.endpoints == e })
}

// keep forgets entries that the table does not have any more.
func (b barred) keep(t table) {
	gone := func(e *entry) bool { return e != nil && t.accepted(e.typeURL, e.name) != e }
	maps.DeleteFunc(b, func(m made, _ struct{}) bool { return gone(m.cluster) || gone(m.endpoints) })
}

// refuse bars the brokers that an Apply refused, and makes those of their resources bad
// that are new: what is in force stays. It returns what it has made bad.
func (c *Client) refuse(f *forms, why Refusals) []refused {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []refused
	for name, err := range why {
		cluster := xds.BrokerResource(name)
		next, old := f.brokers[cluster].made(), c.applied.brokers[cluster].made()
		if next == old || next == (made{}) {
			continue // it is in force, or nothing of this snapshot
		}
		c.barred[next], c.doubted = struct{}{}, true
		for _, part := range [][2]*entry{{next.cluster, old.cluster}, {next.endpoints, old.endpoints}} {
			if e, good := part[0], part[1]; e != nil && e != good {
				c.table.refuse(e, good, err)
				out = append(out, refused{e.typeURL, wire.Rejection{Resource: e.name, Error: err.Error()}})
			}
		}
	}
	return out
}

// ofType are the rejections that answer a response of that type. Responses with those
// of other types have been answered already: they show in Status, and the next stream
// reports them.
func ofType(rs []refused, typeURL string) []wire.Rejection {
	var out []wire.Rejection
	for _, r := range rs {
		if r.typeURL == typeURL {
			out = append(out, r.Rejection)
		}
	}
	return out
}

// Err is the refusals as one error, nil when there are none.
func (r Refusals) Err() error {
	var errs []error
	for _, name := range mesh.Sorted(r) {
		errs = append(errs, fmt.Errorf("broker %s: %w", name, r[name]))
	}
	return errors.Join(errs...)
}
