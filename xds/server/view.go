package server

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// view is a View made ready to serve. It is immutable; the messages in it are
// shared by all responses.
type view struct {
	named  map[string]map[string]*entry // by type URL and name
	scoped map[string][]scoped          // by namespace

	versions map[key]string // of all resources
	// seq counts views from 1. delta lists, by type URL, the names that the view before
	// had in another version, or not, or that this one has not.
	seq     uint64
	delta   map[string][]string
	changes map[key]change // recent ones
}

// entry is a resource and how much of a response it takes at most.
type entry struct {
	resource *discoveryv3.Resource
	bytes    int
}

type scoped struct {
	*entry
	match func(map[string]string) bool
}

func newView(v View) *view {
	out := &view{named: map[string]map[string]*entry{}, scoped: map[string][]scoped{}, versions: map[key]string{}}
	for _, r := range v.Resources {
		if out.named[r.TypeURL] == nil {
			out.named[r.TypeURL] = map[string]*entry{}
		}
		out.named[r.TypeURL][r.Name] = newEntry(r)
		out.versions[key{r.TypeURL, r.Name}] = r.Version
	}
	for _, s := range v.Scoped {
		out.scoped[s.Namespace] = append(out.scoped[s.Namespace], scoped{newEntry(s.Resource), s.Match})
		out.versions[key{s.Resource.TypeURL, s.Resource.Name}] = s.Resource.Version
	}
	return out
}

func newEntry(r wire.Resource) *entry {
	return &entry{
		resource: &discoveryv3.Resource{Name: r.Name, Version: r.Version, Resource: r.Any},
		bytes:    len(r.Name) + len(r.Any.GetTypeUrl()) + len(r.Any.GetValue()) + entryBytes,
	}
}

// wanted yields what s should have, each name once; a name that does not exist has
// a nil entry.
func (v *view) wanted(s *subscription) iter.Seq2[string, *entry] {
	mine := map[string]*entry{}
	if s.typeURL == xds.TypeListener {
		mine = v.concerning(s.node)
	}
	return func(yield func(string, *entry) bool) {
		for name := range s.names {
			e, ok := v.named[s.typeURL][name]
			if !ok {
				e = mine[name]
			}
			if !yield(name, e) {
				return
			}
		}
		for name, e := range mine {
			if _, named := s.names[name]; s.wildcard && !named && !yield(name, e) {
				return
			}
		}
	}
}

// concerning returns the scoped Listeners of a node, by name.
func (v *view) concerning(n xds.Node) map[string]*entry {
	out := map[string]*entry{}
	for _, s := range v.scoped[n.Namespace] {
		if s.match == nil || s.match(n.Labels) {
			out[s.resource.GetName()] = s.entry
		}
	}
	return out
}

// follow numbers the view and records how it differs from old.
func (v *view) follow(old *view) {
	v.seq, v.delta = 1, map[string][]string{}
	if old == nil {
		return
	}
	v.seq = old.seq + 1
	for k, version := range v.versions {
		if before, had := old.versions[k]; !had || before != version {
			v.delta[k.typeURL] = append(v.delta[k.typeURL], k.name)
		}
	}
	for k := range old.versions {
		if _, has := v.versions[k]; !has {
			v.delta[k.typeURL] = append(v.delta[k.typeURL], k.name)
		}
	}
}

// stale reports whether diff would find anything. Its cost depends on what changed
// since the view before, and not on the number of names.
func (v *view) stale(s *subscription) bool {
	var stale bool
	switch {
	case s.seq == v.seq:
		return false
	case s.seq != 0 && s.seq == v.seq-1:
		stale = v.outdates(s)
	default:
		stale = v.differs(s)
	}
	if !stale {
		s.seq = v.seq
	}
	return stale
}

// outdates looks at what differs from the view before: changed resources, and those
// whose selectors may pick other nodes now, which is no part of their version. A name
// never goes over from scoped resources to the others or back.
func (v *view) outdates(s *subscription) bool {
	mine := map[string]*entry{}
	names := v.delta[s.typeURL]
	if s.typeURL == xds.TypeListener {
		mine, names = v.concerning(s.node), slices.Clone(names)
		for _, scoped := range v.scoped[s.node.Namespace] {
			names = append(names, scoped.resource.GetName())
		}
	}
	return slices.ContainsFunc(names, func(name string) bool {
		e, found := v.named[s.typeURL][name]
		if !found {
			e = mine[name]
		}
		known, told := s.known[name]
		if _, named := s.names[name]; named || s.wildcard && mine[name] != nil {
			return known != s.of(e)
		}
		return told && s.wildcard
	})
}

// differs looks at all that is wanted and known.
func (v *view) differs(s *subscription) bool {
	n := 0
	for name, e := range v.wanted(s) {
		if s.known[name] != s.of(e) {
			return true
		}
		n++
	}
	// All that is wanted is known, so what is more is not wanted.
	return s.wildcard && len(s.known) > n
}

// difference is what one response says to bring a subscription to a view.
type difference struct {
	changed  []*entry // by name
	removed  []string // sorted
	withheld []*entry // too large for a stock client
	whole    bool     // nothing was left for another response
	seq      uint64   // of the view, when it is whole
}

func (d *difference) empty() bool { return len(d.changed)+len(d.removed)+len(d.withheld) == 0 }

// response makes the message of the difference.
func (d *difference) response(typeURL string) *discoveryv3.DeltaDiscoveryResponse {
	out := &discoveryv3.DeltaDiscoveryResponse{TypeUrl: typeURL, RemovedResources: d.removed}
	for _, e := range d.changed {
		out.Resources = append(out.Resources, e.resource)
	}
	for _, e := range d.withheld {
		out.ResourceErrors = append(out.ResourceErrors, &discoveryv3.ResourceError{
			ResourceName: &discoveryv3.ResourceName{Name: e.resource.GetName()},
			ErrorDetail: &rpcstatus.Status{
				Code:    int32(codes.ResourceExhausted),
				Message: fmt.Sprintf("the resource has about %d bytes, more than the %d that gRPC clients receive by default", e.bytes, 4<<20),
			},
		})
	}
	return out
}

// diff works out what s lacks, as far as one response can hold it. A name that was
// asked for and does not exist is reported as removed, once. A known resource that was
// not asked for is removed only under a wildcard: without one, the sidecar
// unsubscribes by itself.
func (v *view) diff(s *subscription) *difference {
	d := &difference{}
	unwanted := len(s.known) > 0 && s.wildcard
	wanted := map[string]struct{}{}
	for name, e := range v.wanted(s) {
		if unwanted {
			wanted[name] = struct{}{}
		}
		switch is := s.of(e); {
		case s.known[name] == is:
		case is.state == absent:
			d.removed = append(d.removed, name)
		case is.state == withheld:
			d.withheld = append(d.withheld, e)
		default:
			d.changed = append(d.changed, e)
		}
	}
	if unwanted {
		for name := range s.known {
			if _, ok := wanted[name]; !ok {
				d.removed = append(d.removed, name)
			}
		}
	}
	slices.SortFunc(d.changed, func(a, b *entry) int { return cmp.Compare(a.resource.GetName(), b.resource.GetName()) })
	slices.Sort(d.removed)
	d.fit()
	if d.whole {
		d.seq = v.seq
	}
	return d
}

// fit leaves what goes into one response, which is at least one thing.
func (d *difference) fit() {
	d.whole = false
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
	d.whole = true
}

// apply notes what the sidecar knows once it has the response.
func (d *difference) apply(s *subscription) {
	s.seq = d.seq
	for _, e := range slices.Concat(d.changed, d.withheld) {
		s.known[e.resource.GetName()] = s.of(e)
	}
	for _, name := range d.removed {
		if _, named := s.names[name]; named {
			s.known[name] = held{state: absent}
		} else {
			delete(s.known, name)
		}
	}
}
