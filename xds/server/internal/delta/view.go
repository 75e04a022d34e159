package delta

import (
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// View is what is served, ready to be sent. It is immutable.
type View struct {
	version string // of the configuration
	named   map[Key]*Entry
	scoped  map[Key]*listener
	scopes  map[string][]Key // of scoped, by namespace
	changes map[Key]Change   // recent ones
}

// Entry is a resource, marshalled once for all streams and views.
type Entry struct {
	Key
	Version string

	body  []byte // a discovery Resource without metadata
	bytes int    // how much of a response it takes at most
}

// Scoped is a Listener for some sidecars. One that it does not concern cannot get
// it by name either.
type Scoped struct {
	Resource  wire.Resource
	Namespace string
	// Match tells whether a sidecar of Namespace with these labels gets it. It is
	// called concurrently and must not keep or change the map. Nil matches all.
	Match func(labels map[string]string) bool
	// Selector names what Match picks: two of the same text pick the same sidecars.
	// With "" nothing is known of it, and each update asks Match again.
	Selector string
}

// listener is an entry for some sidecars.
type listener struct {
	*Entry
	Scoped
}

// concerns tells whether a node gets the Listener.
func (l *listener) concerns(n *xds.Node) bool {
	return l.Namespace == n.Namespace && (l.Match == nil || l.Match(n.Labels))
}

// same tells whether both pick the same sidecars for the same version.
func (l *listener) same(other *listener) bool {
	return l.Entry == other.Entry && l.Namespace == other.Namespace &&
		(l.Match == nil && other.Match == nil || l.Selector != "" && l.Selector == other.Selector)
}

// NewView takes what has not changed from old, which is nil before the first view. Of two
// resources of one type and name the last wins.
func NewView(version string, resources []wire.Resource, scoped []Scoped, old *View) *View {
	if old == nil {
		old = &View{}
	}
	out := &View{
		version: version,
		named:   make(map[Key]*Entry, len(resources)), scoped: make(map[Key]*listener, len(scoped)),
		scopes: make(map[string][]Key, len(old.scopes)),
	}
	for _, r := range resources {
		e := newEntry(r, old.named[KeyOf(r.TypeURL, r.Name)])
		out.named[e.Key] = e
	}
	for _, s := range scoped {
		k := KeyOf(s.Resource.TypeURL, s.Resource.Name)
		var before *Entry
		if was := old.scoped[k]; was != nil {
			before = was.Entry
		}
		out.scoped[k] = &listener{newEntry(s.Resource, before), s}
	}
	for k, l := range out.scoped {
		out.scopes[l.Namespace] = append(out.scopes[l.Namespace], k)
	}
	return out
}

// newEntry returns known when it is of the same version.
func newEntry(r wire.Resource, known *Entry) *Entry {
	if known != nil && known.Version == r.Version {
		return known
	}
	return &Entry{
		Key: KeyOf(r.TypeURL, r.Name), Version: r.Version, body: resourceBody(r),
		bytes: len(r.Name) + len(r.Any.GetTypeUrl()) + len(r.Any.GetValue()) + entryBytes,
	}
}

// find returns the resource of a name that a node may have, nil when there is none,
// and whether the wildcard brings it.
func (v *View) find(k Key, n *xds.Node) (e *Entry, wild bool) {
	if e = v.named[k]; e != nil {
		return e, v.Concerns(k, n)
	}
	if v.Concerns(k, n) {
		return v.scoped[k].Entry, true
	}
	return nil, false
}

// Concerns tells whether a name is that of a scoped Listener for the node.
func (v *View) Concerns(k Key, n *xds.Node) bool {
	l := v.scoped[k]
	return l != nil && l.concerns(n)
}

// Namespace returns the namespace of a scoped Listener, false for other names.
func (v *View) Namespace(k Key) (string, bool) {
	if l := v.scoped[k]; l != nil {
		return l.Namespace, true
	}
	return "", false
}

// Scoped lists the scoped Listeners of a namespace, for whichever of its nodes.
func (v *View) Scoped(namespace string) []Key { return v.scopes[namespace] }

// VersionOf returns the version of a resource, "" when there is none.
func (v *View) VersionOf(k Key) string {
	if l := v.scoped[k]; l != nil {
		return l.Version
	}
	if e := v.named[k]; e != nil {
		return e.Version
	}
	return ""
}

// ChangedSince lists the resources that v has other than old: in another version, for
// other sidecars, or not at all.
func (v *View) ChangedSince(old *View) []Key {
	var out []Key
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
	for k, l := range v.scoped {
		if before := old.scoped[k]; before == nil || !l.same(before) {
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
