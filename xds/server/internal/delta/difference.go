package delta

import (
	"cmp"
	"fmt"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// Difference is what one response says to bring a subscription to a view.
type Difference struct {
	TypeURL  string
	Changed  []*Entry // by name
	Removed  []string // sorted
	withheld []*Entry // too large for a stock client
}

func (d *Difference) empty() bool { return len(d.Changed)+len(d.Removed)+len(d.withheld) == 0 }

// Keys lists what it tells the sidecar of, apart from what is withheld.
func (d *Difference) Keys() []Key {
	out := make([]Key, 0, len(d.Changed)+len(d.Removed))
	for _, e := range d.Changed {
		out = append(out, e.Key)
	}
	for _, name := range d.Removed {
		out = append(out, KeyOf(d.TypeURL, name))
	}
	return out
}

// difference works out what of the pending names goes into one response, and takes note
// of it as told. The others stay pending.
func (s *Subscription) difference(v *View) *Difference {
	if s.all {
		s.all = false
		for name, r := range s.rows {
			if r.named || r.told != (held{}) {
				s.note(name)
			}
		}
		for _, k := range v.scopes[s.node.Namespace] {
			if s.wildcard && k.Kind == s.kind {
				s.note(k.Name)
			}
		}
	}
	d := &Difference{TypeURL: s.typeURL}
	for name := range s.pending {
		if !d.look(v, s, name) {
			delete(s.pending, name)
		}
	}
	slices.SortFunc(d.Changed, func(a, b *Entry) int { return cmp.Compare(a.Name, b.Name) })
	slices.Sort(d.Removed)
	d.fit()
	d.apply(s)
	if len(s.pending) == 0 {
		s.pending = nil
	}
	return d
}

// look finds out whether there is something to say of a name. What was asked for by
// name and does not exist is said to be removed, once. What is known and was not asked
// for is removed only under a wildcard: without one, unsubscribing is the sidecar's own
// word.
func (d *Difference) look(v *View, s *Subscription, name string) bool {
	e, wild := v.find(Key{s.kind, name}, s.node)
	var has row
	if r := s.rows[name]; r != nil {
		has = *r
	}
	if !has.named && (!s.wildcard || !wild) {
		if s.wildcard && has.told != (held{}) {
			d.Removed = append(d.Removed, name)
			return true
		}
		return false
	}
	switch is := s.of(e); {
	case has.told == is:
		return false
	case is.state == absent:
		d.Removed = append(d.Removed, name)
	case is.state == withheld:
		d.withheld = append(d.withheld, e)
	default:
		d.Changed = append(d.Changed, e)
	}
	return true
}

// fit leaves what goes into one response, which is at least one thing.
func (d *Difference) fit() {
	bytes := 0
	for i, name := range d.Removed {
		if bytes += len(name) + 8; bytes > maxResponseBytes && i > 0 {
			d.Removed, d.Changed = d.Removed[:i], nil
			return
		}
	}
	for i, e := range d.Changed {
		if bytes += e.bytes; bytes > maxResponseBytes && i+len(d.Removed) > 0 {
			d.Changed = d.Changed[:i]
			return
		}
	}
}

// apply notes what the sidecar knows once it has the response.
func (d *Difference) apply(s *Subscription) {
	for _, entries := range [...][]*Entry{d.Changed, d.withheld} {
		for _, e := range entries {
			s.row(e.Name).told = s.of(e)
			delete(s.pending, e.Name)
		}
	}
	for _, name := range d.Removed {
		if s.isNamed(name) {
			s.row(name).told = held{state: absent}
		} else if r := s.rows[name]; r != nil {
			r.told = held{}
			s.tidy(name)
		}
		delete(s.pending, name)
	}
}

// Message returns the response that says the difference. Metadata, if there is any, is
// put into each resource: it is the wire format of a Resource that has nothing else.
func (d *Difference) Message(v *View, nonce string, metadata []byte) (*Message, error) {
	return newMessage(d.response(v.version, nonce), d.Changed, metadata)
}

// response says the difference, without the changed resources.
func (d *Difference) response(version, nonce string) *discoveryv3.DeltaDiscoveryResponse {
	out := &discoveryv3.DeltaDiscoveryResponse{SystemVersionInfo: version, TypeUrl: d.TypeURL, Nonce: nonce, RemovedResources: d.Removed}
	for _, e := range d.withheld {
		out.ResourceErrors = append(out.ResourceErrors, &discoveryv3.ResourceError{
			ResourceName: &discoveryv3.ResourceName{Name: e.Name},
			ErrorDetail: &rpcstatus.Status{
				Code:    int32(codes.ResourceExhausted),
				Message: fmt.Sprintf("the resource has about %d bytes, more than the %d that gRPC clients receive by default", e.bytes, 4<<20),
			},
		})
	}
	return out
}
