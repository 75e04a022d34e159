package server

import (
	"cmp"
	"iter"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// view is a View made ready to serve. It is immutable; the messages in it are
// shared by all responses.
type view struct {
	named  map[string]map[string]*discoveryv3.Resource // by type URL and name
	scoped map[string][]scoped                         // by namespace

	versions map[key]string // of all resources
	changes  map[key]change // recent ones
}

type scoped struct {
	resource *discoveryv3.Resource
	match    func(map[string]string) bool
}

func newView(v View) *view {
	out := &view{named: map[string]map[string]*discoveryv3.Resource{}, scoped: map[string][]scoped{}, versions: map[key]string{}}
	for _, r := range v.Resources {
		if out.named[r.TypeURL] == nil {
			out.named[r.TypeURL] = map[string]*discoveryv3.Resource{}
		}
		out.named[r.TypeURL][r.Name] = message(r)
		out.versions[key{r.TypeURL, r.Name}] = r.Version
	}
	for _, s := range v.Scoped {
		out.scoped[s.Namespace] = append(out.scoped[s.Namespace], scoped{message(s.Resource), s.Match})
		out.versions[key{s.Resource.TypeURL, s.Resource.Name}] = s.Resource.Version
	}
	return out
}

func message(r wire.Resource) *discoveryv3.Resource {
	return &discoveryv3.Resource{Name: r.Name, Version: r.Version, Resource: r.Any}
}

// subscription is what one stream wants of one type, and has.
type subscription struct {
	typeURL  string
	names    map[string]struct{} // asked for by name
	wildcard bool                // also the scoped Listeners that concern node
	node     xds.Node
	known    map[string]string // versions by name
}

// absent is the known version of a resource that was told not to exist. No content
// version looks like it.
const absent = "-"

func version(r *discoveryv3.Resource) string {
	if r == nil {
		return absent
	}
	return r.GetVersion()
}

// wanted yields what s should have, each name once; a name that does not exist has
// a nil resource.
func (v *view) wanted(s *subscription) iter.Seq2[string, *discoveryv3.Resource] {
	mine := map[string]*discoveryv3.Resource{}
	if s.typeURL == xds.TypeListener {
		mine = v.concerning(s.node)
	}
	return func(yield func(string, *discoveryv3.Resource) bool) {
		for name := range s.names {
			r, ok := v.named[s.typeURL][name]
			if !ok {
				r = mine[name]
			}
			if !yield(name, r) {
				return
			}
		}
		for name, r := range mine {
			if _, named := s.names[name]; s.wildcard && !named && !yield(name, r) {
				return
			}
		}
	}
}

// concerning returns the scoped Listeners of a node, by name.
func (v *view) concerning(n xds.Node) map[string]*discoveryv3.Resource {
	out := map[string]*discoveryv3.Resource{}
	for _, s := range v.scoped[n.Namespace] {
		if s.match == nil || s.match(n.Labels) {
			out[s.resource.GetName()] = s.resource
		}
	}
	return out
}

// stale tells whether diff would find anything.
func (v *view) stale(s *subscription) bool {
	n := 0
	for name, r := range v.wanted(s) {
		if s.known[name] != version(r) {
			return true
		}
		n++
	}
	// All that is wanted is known, so what is more is not wanted.
	return s.wildcard && len(s.known) > n
}

// difference is what must be sent to bring a subscription to a view.
type difference struct {
	changed []*discoveryv3.Resource // by name
	removed []string                // sorted
	known   map[string]string       // afterwards; a new map
}

// diff works out what s lacks. What was asked for by name and does not exist is
// said to be removed, once. What is known and was not asked for is removed only
// under a wildcard: without one, unsubscribing is the sidecar's own word.
func (v *view) diff(s *subscription) *difference {
	d := &difference{known: make(map[string]string, len(s.names))}
	for name, r := range v.wanted(s) {
		d.known[name] = version(r)
		switch {
		case s.known[name] == version(r):
		case r == nil:
			d.removed = append(d.removed, name)
		default:
			d.changed = append(d.changed, r)
		}
	}
	for name := range s.known {
		if _, ok := d.known[name]; !ok && s.wildcard {
			d.removed = append(d.removed, name)
		}
	}
	slices.SortFunc(d.changed, func(a, b *discoveryv3.Resource) int { return cmp.Compare(a.GetName(), b.GetName()) })
	slices.Sort(d.removed)
	return d
}
