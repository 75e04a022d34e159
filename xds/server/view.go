package server

import (
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// view is a View made ready to serve. It is immutable, and shares with the view before
// it what has not changed.
type view struct {
	version string // of the configuration
	named   map[key]*entry
	scoped  map[key]*scoped
	scopes  map[string][]*scoped // by namespace
	changes map[key]change       // recent ones
	groups  map[key][]*Group     // that a resource belongs to
	all     []*Group
}

// entry is a resource, marshalled once for all streams and views.
type entry struct {
	key

	version string
	body    []byte // a discovery Resource without metadata
	bytes   int    // how much of a response it takes at most
}

// scoped is an entry for some sidecars.
type scoped struct {
	*entry
	Scoped
}

// concerns tells whether a node gets the Listener.
func (s *scoped) concerns(n *xds.Node) bool {
	return s.Namespace == n.Namespace && (s.Match == nil || s.Match(n.Labels))
}

// same tells whether both pick the same sidecars for the same version.
func (s *scoped) same(other *scoped) bool {
	return s.entry == other.entry && s.Namespace == other.Namespace &&
		(s.Match == nil && other.Match == nil || s.Selector != "" && s.Selector == other.Selector)
}

// newView takes what has not changed from old, which may be nil.
func newView(v View, old *view) *view {
	if old == nil {
		old = &view{}
	}
	out := &view{
		version: v.Version,
		named:   make(map[key]*entry, len(v.Resources)), scoped: make(map[key]*scoped, len(v.Scoped)),
		scopes: make(map[string][]*scoped, len(old.scopes)), groups: make(map[key][]*Group, len(old.groups)), all: v.Groups,
	}
	for _, r := range v.Resources {
		e := newEntry(r, old.named[keyOf(r.TypeURL, r.Name)])
		out.named[e.key] = e
	}
	for _, s := range v.Scoped {
		k := keyOf(s.Resource.TypeURL, s.Resource.Name)
		var before *entry
		if was := old.scoped[k]; was != nil {
			before = was.entry
		}
		out.scoped[k] = &scoped{newEntry(s.Resource, before), s}
	}
	for _, s := range out.scoped {
		out.scopes[s.Namespace] = append(out.scopes[s.Namespace], s)
	}
	for _, g := range v.Groups {
		for _, k := range g.keys {
			out.groups[k] = append(out.groups[k], g)
		}
	}
	return out
}

// newEntry returns known when it is of the same version.
func newEntry(r wire.Resource, known *entry) *entry {
	if known != nil && known.version == r.Version {
		return known
	}
	return &entry{
		key: keyOf(r.TypeURL, r.Name), version: r.Version, body: resourceBody(r),
		bytes: len(r.Name) + len(r.Any.GetTypeUrl()) + len(r.Any.GetValue()) + entryBytes,
	}
}

// find returns the resource of a name that a node may have, nil when there is none,
// and whether the wildcard brings it.
func (v *view) find(k key, n *xds.Node) (e *entry, wild bool) {
	if e = v.named[k]; e != nil {
		return e, v.concerns(k, n)
	}
	if v.concerns(k, n) {
		return v.scoped[k].entry, true
	}
	return nil, false
}

// concerns tells whether a name is that of a scoped Listener for the node.
func (v *view) concerns(k key, n *xds.Node) bool {
	s := v.scoped[k]
	return s != nil && s.concerns(n)
}

// versionOf returns the version of a resource, "" when there is none.
func (v *view) versionOf(k key) string {
	if s := v.scoped[k]; s != nil {
		return s.version
	}
	if e := v.named[k]; e != nil {
		return e.version
	}
	return ""
}

// changedSince lists the resources that v has other than old: in another version, for
// other sidecars, or not at all.
func (v *view) changedSince(old *view) []key {
	var out []key
	kept := 0
	for k, e := range v.named {
		before := old.named[k]
		if before != nil {
			kept++
		}
		if before != e {
			out = append(out, k)
		}
	}
	if kept < len(old.named) {
		for k := range old.named {
			if v.named[k] == nil {
				out = append(out, k)
			}
		}
	}
	for k, s := range v.scoped {
		if before := old.scoped[k]; before == nil || !s.same(before) {
			out = append(out, k)
		}
	}
	for k := range old.scoped {
		if v.scoped[k] == nil {
			out = append(out, k)
		}
	}
	return out
}

// newGroups lists the groups that v has and old does not have.
func (v *view) newGroups(old *view) []*Group {
	if old == nil {
		return nil // there are no streams
	}
	known := make(map[*Group]struct{}, len(old.all))
	for _, g := range old.all {
		known[g] = struct{}{}
	}
	var out []*Group
	for _, g := range v.all {
		if _, ok := known[g]; !ok {
			out = append(out, g)
		}
	}
	return out
}
