package server

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/warrenmesh/warren/xds/server/internal/delta"
)

// cache is what is served, and the index of who uses what of it. An update costs what
// has changed times those who use it, however many streams and resources there are.
//
// A stream's mu may be held when the cache's is taken, not the other way round.
type cache struct {
	current atomic.Pointer[served] // nil until the first update

	updating sync.Mutex // one update at a time

	mu    sync.Mutex
	users map[delta.Key]map[*stream]struct{} // by what they ask for by name; guarded by mu
	nodes map[string]map[*stream]struct{}    // by namespace; guarded by mu
}

func newCache() *cache {
	return &cache{users: map[delta.Key]map[*stream]struct{}{}, nodes: map[string]map[*stream]struct{}{}}
}

// served is a view and the groups of its resources. It is immutable.
type served struct {
	*delta.View

	groups map[delta.Key][]*Group // that a resource belongs to
	all    []*Group
}

// newServed takes what has not changed from old, which is nil before the first view.
func newServed(v View, old *served) *served {
	var before *delta.View
	if old != nil {
		before = old.View
	}
	out := &served{View: delta.NewView(v.Version, v.Resources, v.Scoped, before), groups: map[delta.Key][]*Group{}, all: v.Groups}
	for _, g := range v.Groups {
		for _, k := range g.keys {
			out.groups[k] = append(out.groups[k], g)
		}
	}
	return out
}

// newGroups lists the groups that v has and old does not have.
func (v *served) newGroups(old *served) []*Group {
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

// note is what an update tells one stream to look at.
type note struct {
	changed []delta.Key // resources it may have to be told of
	groups  []*Group    // groups it may count otherwise in
}

// update swaps the view and notes at the streams that use something of what changed
// what that is. A stream that begins to use it meanwhile sees the new view.
func (c *cache) update(from View, now time.Time) {
	c.updating.Lock()
	defer c.updating.Unlock()
	old := c.current.Load()
	v := newServed(from, old)
	var changed []delta.Key
	if old != nil { // before the first view there are no streams
		changed = v.ChangedSince(old.View)
		v.Trace(old.View, changed, from.Cause, now)
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
func (c *cache) swap(v *served, changed []delta.Key, groups []*Group) map[*stream]note {
	slices.SortFunc(changed, func(a, b delta.Key) int { return cmp.Compare(a.Kind, b.Kind) })
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
func (c *cache) usersOf(k delta.Key, views ...*served) map[*stream]struct{} {
	users, copied := c.users[k], false
	for _, v := range views {
		if v == nil {
			continue
		}
		namespace, scoped := v.Namespace(k)
		if !scoped {
			continue
		}
		if !copied {
			users, copied = clone(users), true
		}
		for s := range c.nodes[namespace] {
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
		put(c.users, delta.Key{Kind: kind, Name: name}, s)
	}
	for _, name := range removed {
		drop(c.users, delta.Key{Kind: kind, Name: name}, s)
	}
}

// leave forgets a stream that uses keys.
func (c *cache) leave(s *stream, namespace string, keys []delta.Key) {
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
