package client

import (
	"errors"
	"fmt"
	"maps"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// Refusals say which objects of a snapshot an Apply cannot put in force, and why. Of the
// three maps any may be nil; none is in force when one of them has an entry.
type Refusals struct {
	Topics, Subscriptions, Brokers map[mesh.Name]error
}

func (r Refusals) none() bool { return len(r.Topics)+len(r.Subscriptions)+len(r.Brokers) == 0 }

// refused is a resource whose content decodes, and cannot be put in force.
type refused struct {
	typeURL string
	wire.Rejection
}

// logRefusals is called once for each assembly that was refused: what it names is bad
// from then on, and not assembled again until it changes.
func (c *Client) logRefusals(why Refusals) {
	c.opts.Logger.Warn("configuration refused", keyError, why.Err())
}

// made is what one object is made of. Of a subscription and of a broker without a
// network there is one entry.
type made struct{ first, second *entry }

// barred are what an Apply refused, until one of the entries comes again or another in
// its place: it may be the other entry that was at fault. The resources stay subscribed
// to meanwhile.
type barred map[made]struct{}

func (b barred) has(m made) bool {
	_, ok := b[m]
	return ok
}

// allow forgets what e was a part of, so that it is tried again.
func (b barred) allow(e *entry) {
	maps.DeleteFunc(b, func(m made, _ struct{}) bool { return m.first == e || m.second == e })
}

// keep forgets what the table has no more.
func (b barred) keep(t table) {
	gone := func(e *entry) bool { return e != nil && t.accepted(e.typeURL, e.name) != e }
	maps.DeleteFunc(b, func(m made, _ struct{}) bool { return gone(m.first) || gone(m.second) })
}

// refuse bars the objects that an Apply refused, and makes those of their resources bad
// that are new: what is in force stays. It returns what it has made bad.
func (c *Client) refuse(f *forms, why Refusals) []refused {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []refused
	bar := func(m, old made, err error) {
		if m == old || m == (made{}) {
			return // it is in force, or there is none
		}
		c.barred[m], c.doubted = struct{}{}, true
		for _, part := range [][2]*entry{{m.first, old.first}, {m.second, old.second}} {
			if e, good := part[0], part[1]; e != nil && e != good {
				c.table.refuse(e, good, err)
				out = append(out, refused{e.typeURL, wire.Rejection{Resource: e.name, Error: err.Error()}})
			}
		}
	}
	for name, err := range why.Topics {
		bar(f.topics[name].made(), c.applied.topics[name].made(), err)
	}
	for name, err := range why.Subscriptions {
		bar(f.subscriptions[name].made(), c.applied.subscriptions[name].made(), err)
	}
	for name, err := range why.Brokers {
		cluster := xds.BrokerResource(name)
		bar(f.brokers[cluster].made(), c.applied.brokers[cluster].made(), err)
	}
	return out
}

// ofType are the rejections that answer a response of that type. Those of other types
// came by responses that are answered already: they show in Status, and are sent anew on
// the next stream.
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
	for _, kind := range []struct {
		name string
		of   map[mesh.Name]error
	}{{"broker", r.Brokers}, {"subscription", r.Subscriptions}, {"topic", r.Topics}} {
		for _, name := range mesh.Sorted(kind.of) {
			errs = append(errs, fmt.Errorf("%s %s: %w", kind.name, name, kind.of[name]))
		}
	}
	return errors.Join(errs...)
}
