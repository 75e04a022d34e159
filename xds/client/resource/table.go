package resource

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/warrenmesh/warren/xds"
)

// Row is a row of the table: the last good entry, and what happened since.
type Row struct {
	State    State
	Accepted *Entry    // nil until a good one came; kept when a later one is bad or it is deleted
	good     *Entry    // in force in its place, while accepted is refused; nil otherwise
	Rejected string    // version of the bad one; "" unless Nacked
	Err      string    // why it is Nacked or DoesNotExist; "" otherwise
	asked    time.Time // when the request went out on the live stream; zero when it did not
}

// awaited reports whether the clock of a missing resource runs for the row.
func (r *Row) awaited() bool { return r.State == Requested && !r.asked.IsZero() }

// brought reports whether the wildcard may have brought the row, asked for by name
// or not. Our control plane brings subscriptions only; others bring every Listener
// they have, and do not repeat a topic's when it is asked for by name later.
func (r *Row) brought(typeURL string) bool {
	return typeURL == xds.TypeListener && (r.State == Acked || r.State == Nacked)
}

// Table holds the rows by type URL and name. A row exists while its name is
// subscribed to or, for a Listener, while the wildcard brings it. It is not safe for
// concurrent use.
type Table map[string]map[string]*Row

// New returns an empty table.
func New() Table {
	t := Table{}
	for _, u := range xds.TypeURLs() {
		t[u] = map[string]*Row{}
	}
	return t
}

// row returns the row of a resource, a new one in state Requested if need be.
func (t Table) row(typeURL, name string) *Row {
	r, ok := t[typeURL][name]
	if !ok {
		r = &Row{State: Requested}
		t[typeURL][name] = r
	}
	return r
}

// Accepted returns the last good entry of a resource, nil when there is none.
func (t Table) Accepted(typeURL, name string) *Entry {
	if r, ok := t[typeURL][name]; ok {
		return r.Accepted
	}
	return nil
}

// Accept notes a good resource. The same content again stays the same entry, so
// that nothing is built anew for it. It reports whether the resource was absent, and
// whether its content or state is new.
func (t Table) Accept(e *Entry) (returned, changed bool) {
	r := t.row(e.TypeURL, e.Name)
	returned = r.State == DoesNotExist
	if old := r.Accepted; old != nil && old.Version == e.Version && proto.Equal(old.Any, e.Any) {
		e = old
	}
	changed = r.State != Acked || r.Accepted != e
	*r = Row{State: Acked, Accepted: e}
	return returned, changed
}

// refused reports whether the content of a row decoded and was refused.
func (r *Row) refused() bool {
	return r.State == Nacked && r.Accepted != nil && r.Rejected == r.Accepted.Version
}

// Refused is Row.refused of a row, which need not be there.
func (t Table) Refused(typeURL, name string) bool {
	r, ok := t[typeURL][name]
	return ok && r.refused()
}

// Redeem makes refused entries good that are in force: what was refused with them has
// changed.
func (t Table) Redeem(inForce []*Entry) {
	for _, e := range inForce {
		if r, ok := t[e.TypeURL][e.Name]; ok && r.Accepted == e && r.refused() {
			*r = Row{State: Acked, Accepted: e}
		}
	}
}

// Version is the last good one, "" when there is none.
func (r *Row) Version() string {
	switch e := r.Accepted; {
	case e == nil:
		return ""
	case !r.refused():
		return e.Version
	case r.good != nil:
		return r.good.Version
	default:
		return ""
	}
}

// Reject notes a bad resource. It reports whether the error is new, because the same
// error is logged once.
func (t Table) Reject(typeURL, name, version string, err error) bool {
	r := t.row(typeURL, name)
	news := r.State != Nacked || r.Err != err.Error()
	r.State, r.Rejected, r.Err, r.asked = Nacked, version, err.Error(), time.Time{}
	return news
}

// Refuse notes that an entry cannot be put in force, and that good, which may be nil, is.
func (t Table) Refuse(e, good *Entry, err error) {
	if r, ok := t[e.TypeURL][e.Name]; ok && r.Accepted == e {
		r.State, r.Rejected, r.Err, r.asked, r.good = Nacked, e.Version, err.Error(), time.Time{}, good
	}
}

// Remove notes that the control plane has no such resource. A subscription's
// Listener is forgotten, everything else keeps serving what it was. It reports
// whether that is news.
func (t Table) Remove(typeURL, name, why string) bool {
	r, ok := t[typeURL][name]
	if !ok {
		return false
	}
	if IsSubscription(typeURL, name) {
		delete(t[typeURL], name)
		return true
	}
	news := r.State != DoesNotExist
	r.State, r.Rejected, r.Err, r.asked = DoesNotExist, "", why, time.Time{}
	return news
}

// Expire turns rows that were asked for at or before deadline into DoesNotExist
// and returns their names by type.
func (t Table) Expire(deadline time.Time, why string) map[string][]string {
	gone := map[string][]string{}
	for typeURL, rows := range t {
		for name, r := range rows {
			if r.awaited() && !r.asked.After(deadline) {
				t.Remove(typeURL, name, why)
				gone[typeURL] = append(gone[typeURL], name)
			}
		}
	}
	return gone
}

// Asked starts the clock of rows that the live stream asked for.
func (t Table) Asked(typeURL string, names []string) {
	for _, name := range names {
		if r, ok := t[typeURL][name]; ok && r.State == Requested {
			r.asked = time.Now()
		}
	}
}

// Explain notes what the control plane said of a resource that it does not send yet.
func (t Table) Explain(typeURL, name, why string) {
	if r, ok := t[typeURL][name]; ok && r.State == Requested {
		r.Err = why
	}
}

// OldestAsked returns when the longest awaited row was asked for.
func (t Table) OldestAsked() (oldest time.Time, ok bool) {
	for _, rows := range t {
		for _, r := range rows {
			if r.awaited() && (!ok || r.asked.Before(oldest)) {
				oldest, ok = r.asked, true
			}
		}
	}
	return oldest, ok
}

// HangUp stops the clocks, because the stream on which the names were asked for has
// ended.
func (t Table) HangUp() {
	for _, rows := range t {
		for _, r := range rows {
			r.asked = time.Time{}
		}
	}
}

// Answered reports whether every row has had an answer.
func (t Table) Answered() bool {
	for _, rows := range t {
		for _, r := range rows {
			if r.State == Requested {
				return false
			}
		}
	}
	return true
}

// Versions returns initial_resource_versions of a type. A version that is not in
// force for sure is sent as "" (see the comment of package client).
func (t Table) Versions(typeURL string) map[string]string {
	v := map[string]string{}
	for name, r := range t[typeURL] {
		switch {
		case r.State == Acked:
			v[name] = r.Accepted.Version
		case r.State == Nacked || r.Accepted != nil:
			v[name] = ""
		}
	}
	return v
}

// Keep forgets the rows that are needed no more.
func (t Table) Keep(n Needs) {
	for typeURL, rows := range t {
		for name, r := range rows {
			if !n.Has(typeURL, name) && !r.brought(typeURL) {
				delete(rows, name)
			}
		}
	}
	for typeURL, names := range n {
		for name := range names {
			if name != Wildcard {
				t.row(typeURL, name)
			}
		}
	}
}
