package client

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// State is what is known of one resource.
type State int

// The states of a resource; the package comment draws them.
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

// entry is one good resource, as received and as decoded. It is immutable; two forms
// that hold the same entry are the same.
type entry struct {
	typeURL string
	name    string
	version string
	any     *anypb.Any
	decoded wire.Decoded
	// clusters are the names of the clusters that a route or a subscription uses.
	clusters []string
}

// resource is a row of the table: the last good entry, and what happened since.
type resource struct {
	state    State
	accepted *entry    // nil until a good one came; kept when a later one is bad or it is deleted
	good     *entry    // in force in its place, while accepted is refused; nil otherwise
	rejected string    // version of the bad one; "" unless Nacked
	err      string    // why it is Nacked or DoesNotExist; "" otherwise
	asked    time.Time // when the request went out on the live stream; zero when it did not
}

// awaited reports whether the clock of a missing resource runs for the row.
func (r *resource) awaited() bool { return r.state == Requested && !r.asked.IsZero() }

// brought reports whether the wildcard may have brought the row, asked for by name
// or not. Our control plane brings subscriptions only; others bring every Listener
// they have, and do not repeat a topic's when it is asked for by name later.
func (r *resource) brought(typeURL string) bool {
	return typeURL == xds.TypeListener && (r.state == Acked || r.state == Nacked)
}

// table holds the rows by type URL and name. A row exists while its name is
// subscribed to or, for a Listener, while the wildcard brings it.
type table map[string]map[string]*resource

func newTable() table {
	t := table{}
	for _, u := range xds.TypeURLs() {
		t[u] = map[string]*resource{}
	}
	return t
}

// row returns the row of a resource, a new one in state Requested if need be.
func (t table) row(typeURL, name string) *resource {
	r, ok := t[typeURL][name]
	if !ok {
		r = &resource{state: Requested}
		t[typeURL][name] = r
	}
	return r
}

// accepted returns the last good entry of a resource, nil when there is none.
func (t table) accepted(typeURL, name string) *entry {
	if r, ok := t[typeURL][name]; ok {
		return r.accepted
	}
	return nil
}

// accept notes a good resource. The same content again stays the same entry, so
// that nothing is built anew for it. It reports whether the resource was absent, and
// whether its content or state is new.
func (t table) accept(e *entry) (returned, changed bool) {
	r := t.row(e.typeURL, e.name)
	returned = r.state == DoesNotExist
	if old := r.accepted; old != nil && old.version == e.version && proto.Equal(old.any, e.any) {
		e = old
	}
	changed = r.state != Acked || r.accepted != e
	*r = resource{state: Acked, accepted: e}
	return returned, changed
}

// refused reports whether the content of a row decoded and was refused.
func (r *resource) refused() bool {
	return r.state == Nacked && r.accepted != nil && r.rejected == r.accepted.version
}

// refused is resource.refused of a row, which need not be there.
func (t table) refused(typeURL, name string) bool {
	r, ok := t[typeURL][name]
	return ok && r.refused()
}

// redeem makes refused entries good that are in force: what was refused with them has
// changed.
func (t table) redeem(inForce []*entry) {
	for _, e := range inForce {
		if r, ok := t[e.typeURL][e.name]; ok && r.accepted == e && r.refused() {
			*r = resource{state: Acked, accepted: e}
		}
	}
}

// version is the last good one, "" when there is none.
func (r *resource) version() string {
	switch e := r.accepted; {
	case e == nil:
		return ""
	case !r.refused():
		return e.version
	case r.good != nil:
		return r.good.version
	default:
		return ""
	}
}

// reject notes a bad resource. It reports whether the error is new, because the same
// error is logged once.
func (t table) reject(typeURL, name, version string, err error) bool {
	r := t.row(typeURL, name)
	news := r.state != Nacked || r.err != err.Error()
	r.state, r.rejected, r.err, r.asked = Nacked, version, err.Error(), time.Time{}
	return news
}

// refuse notes that an entry cannot be put in force, and that good, which may be nil, is.
func (t table) refuse(e, good *entry, err error) {
	if r, ok := t[e.typeURL][e.name]; ok && r.accepted == e {
		r.state, r.rejected, r.err, r.asked, r.good = Nacked, e.version, err.Error(), time.Time{}, good
	}
}

// remove notes that the control plane has no such resource. A subscription's
// Listener is forgotten, everything else keeps serving what it was. It reports
// whether that is news.
func (t table) remove(typeURL, name, why string) bool {
	r, ok := t[typeURL][name]
	if !ok {
		return false
	}
	if isSubscription(typeURL, name) {
		delete(t[typeURL], name)
		return true
	}
	news := r.state != DoesNotExist
	r.state, r.rejected, r.err, r.asked = DoesNotExist, "", why, time.Time{}
	return news
}

// expire turns rows that were asked for at or before deadline into DoesNotExist
// and returns their names by type.
func (t table) expire(deadline time.Time, why string) map[string][]string {
	gone := map[string][]string{}
	for typeURL, rows := range t {
		for name, r := range rows {
			if r.awaited() && !r.asked.After(deadline) {
				t.remove(typeURL, name, why)
				gone[typeURL] = append(gone[typeURL], name)
			}
		}
	}
	return gone
}

// oldestAsked returns when the longest awaited row was asked for.
func (t table) oldestAsked() (oldest time.Time, ok bool) {
	for _, rows := range t {
		for _, r := range rows {
			if r.awaited() && (!ok || r.asked.Before(oldest)) {
				oldest, ok = r.asked, true
			}
		}
	}
	return oldest, ok
}

// hangUp stops the clocks, because the stream on which the names were asked for has
// ended.
func (t table) hangUp() {
	for _, rows := range t {
		for _, r := range rows {
			r.asked = time.Time{}
		}
	}
}

// settled reports whether every row has had an answer.
func (t table) settled() bool {
	for _, rows := range t {
		for _, r := range rows {
			if r.state == Requested {
				return false
			}
		}
	}
	return true
}

// versions returns initial_resource_versions of a type. A version that is not in
// force for sure is sent as "" (see the package comment).
func (t table) versions(typeURL string) map[string]string {
	v := map[string]string{}
	for name, r := range t[typeURL] {
		switch {
		case r.state == Acked:
			v[name] = r.accepted.version
		case r.state == Nacked || r.accepted != nil:
			v[name] = ""
		}
	}
	return v
}

// keep forgets the rows that are needed no more.
func (t table) keep(n needs) {
	for typeURL, rows := range t {
		for name, r := range rows {
			if !n.has(typeURL, name) && !r.brought(typeURL) {
				delete(rows, name)
			}
		}
	}
	for typeURL, names := range n {
		for name := range names {
			if name != wildcard {
				t.row(typeURL, name)
			}
		}
	}
}

func isSubscription(typeURL, name string) bool {
	if typeURL != xds.TypeListener {
		return false
	}
	_, err := xds.ParseSubscriptionResource(name)
	return err == nil
}
