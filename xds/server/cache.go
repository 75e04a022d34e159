package server

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/xds"
)

// cache is the current view, and the index of who uses what of it. An update costs what
// has changed times those who use it, however many streams and resources there are.
//
// A stream's mu may be held when the cache's is taken, not the other way round.
type cache struct {
	current atomic.Pointer[view] // nil until the first update

	updating sync.Mutex // one update at a time

	mu    sync.Mutex
	users map[key]map[*stream]struct{}    // by what they ask for by name; guarded by mu
	nodes map[string]map[*stream]struct{} // by namespace; guarded by mu
}

func newCache() *cache {
	return &cache{users: map[key]map[*stream]struct{}{}, nodes: map[string]map[*stream]struct{}{}}
}

// pushOrder is the order of types in which one update is told to one stream: what
// is referred to goes first.
var pushOrder = [...]string{xds.TypeCluster, xds.TypeEndpoint, xds.TypeListener, xds.TypeRoute}

// kindOf is the place of a type in the pushOrder, -1 for a type that is not served.
func kindOf(typeURL string) int8 { return int8(slices.Index(pushOrder[:], typeURL)) } //nolint:gosec // there are few

// note is what an update tells one stream to look at.
type note struct {
	changed []key    // resources it may have to be told of
	groups  []*Group // groups it may count otherwise in
}

// update swaps the view and notes at the streams that use something of what changed
// what that is. A stream that begins to use it meanwhile sees the new view.
func (c *cache) update(from View, now time.Time) {
	c.updating.Lock()
	defer c.updating.Unlock()
	old := c.current.Load()
	v := newView(from, old)
	var changed []key
	if old != nil { // before the first view there are no streams
		changed = v.changedSince(old)
		v.trace(old, changed, from, now)
	}
	notes := c.swap(v, changed, v.newGroups(old))
	// Counted before anybody is told, so that what is in force is never judged by what
	// sidecars said of the version before.
	for s, n := range notes {
		s.count(n.groups)
	}
	if from.Adopted != nil {
		from.Adopted()
	}
	for s, n := range notes {
		s.look(n.changed)
	}
}

// swap makes v current and returns who uses what of the changes.
func (c *cache) swap(v *view, changed []key, groups []*Group) map[*stream]note {
	slices.SortFunc(changed, func(a, b key) int { return cmp.Compare(a.kind, b.kind) })
	old := c.current.Load()
	notes := map[*stream]note{}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current.Store(v)
	for _, k := range changed {
		for s := range c.usersOf(k, old, v) {
			n := notes[s]
			n.changed = append(n.changed, k)
			n.groups = append(n.groups, v.groups[k]...)
			notes[s] = n
		}
	}
	for _, g := range groups {
		for _, k := range g.keys {
			for s := range c.usersOf(k, old, v) {
				n := notes[s]
				n.groups = append(n.groups, g)
				notes[s] = n
			}
		}
	}
	return notes
}

// usersOf returns the streams that ask for a name, and those that are asked about it:
// all of a namespace that has it for some of them. mu is held.
func (c *cache) usersOf(k key, views ...*view) map[*stream]struct{} {
	users, copied := c.users[k], false
	for _, v := range views {
		if v == nil || v.scoped[k] == nil {
			continue
		}
		if !copied {
			users, copied = clone(users), true
		}
		for s := range c.nodes[v.scoped[k].Namespace] {
			users[s] = struct{}{}
		}
	}
	return users
}

func clone(set map[*stream]struct{}) map[*stream]struct{} {
	out := make(map[*stream]struct{}, len(set))
	for s := range set {
		out[s] = struct{}{}
	}
	return out
}

// introduce notes a stream's namespace.
func (c *cache) introduce(s *stream, namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	put(c.nodes, namespace, s)
}

// use notes which names a stream asks for, and no longer does.
func (c *cache) use(s *stream, kind int8, added, removed []string) {
	if len(added)+len(removed) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range added {
		put(c.users, key{kind, name}, s)
	}
	for _, name := range removed {
		drop(c.users, key{kind, name}, s)
	}
}

// leave forgets a stream that uses keys.
func (c *cache) leave(s *stream, namespace string, keys []key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	drop(c.nodes, namespace, s)
	for _, k := range keys {
		drop(c.users, k, s)
	}
}

func put[K comparable](sets map[K]map[*stream]struct{}, k K, s *stream) {
	if sets[k] == nil {
		sets[k] = map[*stream]struct{}{}
	}
	sets[k][s] = struct{}{}
}

func drop[K comparable](sets map[K]map[*stream]struct{}, k K, s *stream) {
	delete(sets[k], s)
	if len(sets[k]) == 0 {
		delete(sets, k)
	}
}
