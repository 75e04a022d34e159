package server

import (
	"cmp"
	"fmt"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// difference is what one response says to bring a subscription to a view.
type difference struct {
	typeURL  string
	changed  []*entry // by name
	removed  []string // sorted
	withheld []*entry // too large for a stock client
}

func (d *difference) empty() bool { return len(d.changed)+len(d.removed)+len(d.withheld) == 0 }

// difference works out what of the pending names goes into one response, and takes note
// of it as told. The others stay pending.
func (s *subscription) difference(v *view) *difference {
	if s.all {
		s.all = false
		for name, r := range s.rows {
			if r.told != (held{}) {
				s.look(name)
			}
		}
		for _, scoped := range v.scopes[s.node.Namespace] {
			if s.wildcard && scoped.kind == s.kind {
				s.look(scoped.name)
			}
		}
	}
	d := &difference{typeURL: s.typeURL}
	for name := range s.pending {
		if !d.look(v, s, name) {
			delete(s.pending, name)
		}
	}
	slices.SortFunc(d.changed, func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	slices.Sort(d.removed)
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
func (d *difference) look(v *view, s *subscription, name string) bool {
	e, wild := v.find(key{s.kind, name}, s.node)
	var has row
	if r := s.rows[name]; r != nil {
		has = *r
	}
	if !has.named && (!s.wildcard || !wild) {
		if s.wildcard && has.told != (held{}) {
			d.removed = append(d.removed, name)
			return true
		}
		return false
	}
	switch is := s.of(e); {
	case has.told == is:
		return false
	case is.state == absent:
		d.removed = append(d.removed, name)
	case is.state == withheld:
		d.withheld = append(d.withheld, e)
	default:
		d.changed = append(d.changed, e)
	}
	return true
}

// fit leaves what goes into one response, which is at least one thing.
func (d *difference) fit() {
	bytes := 0
	for i, name := range d.removed {
		if bytes += len(name) + 8; bytes > maxResponseBytes && i > 0 {
			d.removed, d.changed = d.removed[:i], nil
			return
		}
	}
	for i, e := range d.changed {
		if bytes += e.bytes; bytes > maxResponseBytes && i+len(d.removed) > 0 {
			d.changed = d.changed[:i]
			return
		}
	}
}

// apply notes what the sidecar knows once it has the response.
func (d *difference) apply(s *subscription) {
	for _, entries := range [...][]*entry{d.changed, d.withheld} {
		for _, e := range entries {
			s.row(e.name).told = s.of(e)
			delete(s.pending, e.name)
		}
	}
	for _, name := range d.removed {
		if s.isNamed(name) {
			s.row(name).told = held{state: absent}
		} else if r := s.rows[name]; r != nil {
			r.told = held{}
			s.tidy(name)
		}
		delete(s.pending, name)
	}
}

// response says the difference, without the changed resources.
func (d *difference) response(version, nonce string) *discoveryv3.DeltaDiscoveryResponse {
	out := &discoveryv3.DeltaDiscoveryResponse{SystemVersionInfo: version, TypeUrl: d.typeURL, Nonce: nonce, RemovedResources: d.removed}
	for _, e := range d.withheld {
		out.ResourceErrors = append(out.ResourceErrors, &discoveryv3.ResourceError{
			ResourceName: &discoveryv3.ResourceName{Name: e.name},
			ErrorDetail: &rpcstatus.Status{
				Code:    int32(codes.ResourceExhausted),
				Message: fmt.Sprintf("the resource has about %d bytes, more than the %d that gRPC clients receive by default", e.bytes, 4<<20),
			},
		})
	}
	return out
}
