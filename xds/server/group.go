package server

import (
	"cmp"
	"iter"
	"slices"
	"sync"

	"github.com/warrenmesh/warren/xds/server/internal/delta"
)

// Group is resources that belong together, such as those of one declared object, and
// counts the sidecars that it concerns. A sidecar that has, or has asked for, one of
// the resources is concerned, and one that a scoped Listener among them is for. The
// counts are kept at each answer of a sidecar and each update; reading them costs
// nothing. They are those of the view the group is in: one that no view has any more
// says what it said last, or something older.
type Group struct {
	// Set at construction.
	keys   []delta.Key
	places map[delta.Key]int // of the keys

	parts [parts]members
}

// parts of a group's members, each with a lock: all sidecars may be in one group, and
// answer at once.
const parts = 8

// members are some of the sidecars that a group concerns.
type members struct {
	mu       sync.Mutex
	stand    map[*stream]standing       // nil when empty; guarded by mu
	counts   [standsRejected + 1]uint32 // by standing; guarded by mu
	rejected map[*stream]rejection      // nil when empty; guarded by mu
}

// Progress counts sidecars.
type Progress struct {
	Acked, Pending, Rejected uint32
	LastError                string // of a rejection
}

// Total counts all that are concerned.
func (p Progress) Total() uint32 { return p.Acked + p.Pending + p.Rejected }

// NewGroup returns a group of resources, by type URL and name, whose counts are kept
// once it is in a View that has all of the resources. The same group may be in many, one
// after the other.
func NewGroup(keys [][2]string) *Group {
	g := &Group{places: make(map[delta.Key]int, len(keys))}
	for _, names := range keys {
		k := delta.KeyOf(names[0], names[1])
		if _, known := g.places[k]; !known {
			g.places[k] = len(g.keys)
			g.keys = append(g.keys, k)
		}
	}
	return g
}

// Progress returns the counts. The error is that of the first resource that was refused,
// at the first sidecar by id.
func (g *Group) Progress() Progress {
	var p Progress
	var first *rejection
	for i := range g.parts {
		first = g.parts[i].add(&p, first)
	}
	if first != nil {
		p.LastError = first.err
	}
	return p
}

// add adds the counts to p, and returns the first of its rejections and another one.
func (m *members) add(p *Progress, first *rejection) *rejection {
	m.mu.Lock()
	defer m.mu.Unlock()
	p.Acked += m.counts[standsAcked]
	p.Pending += m.counts[standsPending]
	p.Rejected += m.counts[standsRejected]
	for _, r := range m.rejected {
		if first == nil || r.compare(first) < 0 {
			first = &r
		}
	}
	return first
}

// standing of a group at one sidecar; the worst of its resources counts.
type standing int

const (
	standsAcked standing = iota + 1
	standsPending
	standsRejected
)

// rejection is a sidecar's reason to refuse one of the group's resources.
type rejection struct {
	resource int // its place in the group
	node     string
	stream   int64
	err      string
}

func (r *rejection) compare(other *rejection) int {
	return cmp.Or(cmp.Compare(r.resource, other.resource), cmp.Compare(r.node, other.node), cmp.Compare(r.stream, other.stream))
}

// set notes how a stream stands; 0 means that it is not concerned.
func (g *Group) set(s *stream, is standing, why rejection) {
	g.parts[s.id%parts].set(s, is, why)
}

func (m *members) set(s *stream, is standing, why rejection) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if was := m.stand[s]; was != is {
		if was != 0 {
			m.counts[was]--
		}
		if was == standsRejected {
			delete(m.rejected, s)
		}
		if is == 0 {
			delete(m.stand, s)
			return
		}
		if m.stand == nil {
			m.stand = map[*stream]standing{}
		}
		m.stand[s] = is
		m.counts[is]++
	}
	if is == standsRejected {
		if m.rejected == nil {
			m.rejected = map[*stream]rejection{}
		}
		m.rejected[s] = why
	}
}

// count works out how the stream stands in groups.
func (s *stream) count(groups []*Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.countIn(s.server.cache.current.Load(), groups)
}

// countIn is count by what is served. A closed stream counts nowhere. mu is held.
func (s *stream) countIn(v *served, groups []*Group) {
	for g := range distinct(groups) {
		if s.closed {
			g.set(s, 0, rejection{})
			continue
		}
		var worst standing
		var first int
		for i, k := range s.shared(v, g) {
			is := s.standing(v, k)
			if is == standsRejected && (worst != standsRejected || i < first) {
				first = i
			}
			worst = max(worst, is)
		}
		var why rejection
		if worst == standsRejected {
			why = rejection{first, s.node.ID, s.id, s.status(g.keys[first]).Error}
		}
		g.set(s, worst, why)
	}
}

// shared yields the keys of a group that may mean something to the stream, with their
// places. Some groups have many more keys than a stream has resources: a topic to which
// hundreds of others send. mu is held.
func (s *stream) shared(v *served, g *Group) iter.Seq2[int, delta.Key] {
	scoped := v.Scoped(s.node.Namespace)
	has := len(scoped)
	for _, sub := range s.subs {
		if sub != nil {
			has += sub.Len()
		}
	}
	if len(g.keys) <= has {
		return slices.All(g.keys)
	}
	return func(yield func(int, delta.Key) bool) {
		for kind, sub := range s.subs {
			if sub == nil {
				continue
			}
			for name := range sub.Rows() {
				k := delta.Key{Kind: int8(kind), Name: name} //nolint:gosec // there are few
				if i, ok := g.places[k]; ok && !yield(i, k) {
					return
				}
			}
		}
		for _, k := range scoped {
			if i, ok := g.places[k]; ok && !yield(i, k) {
				return
			}
		}
	}
}

// distinct yields each group once: those of many resources are often the same.
func distinct(groups []*Group) iter.Seq[*Group] {
	return func(yield func(*Group) bool) {
		var seen map[*Group]struct{}
		if len(groups) > 1 {
			seen = make(map[*Group]struct{}, len(groups))
		}
		for _, g := range groups {
			if _, again := seen[g]; again {
				continue
			}
			if seen != nil {
				seen[g] = struct{}{}
			}
			if !yield(g) {
				return
			}
		}
	}
}

// recount counts in the groups of resources whose state has changed, once in each: a
// group may look at all that the stream has. mu is held.
func (s *stream) recount(keys ...delta.Key) {
	v := s.server.cache.current.Load()
	var groups []*Group
	for _, k := range keys {
		groups = append(groups, v.groups[k]...)
	}
	s.countIn(v, groups)
}

// standing is what the stream made of the version of a resource that is in force. What
// it said of an older one does not count.
func (s *stream) standing(v *served, k delta.Key) standing {
	is := s.status(k)
	switch {
	case is == nil && v.Concerns(k, &s.node):
		return standsPending
	case is == nil:
		return 0
	case is.Version != v.VersionOf(k):
		return standsPending
	case is.State == Nacked:
		return standsRejected
	case is.State == Acked:
		return standsAcked
	default:
		return standsPending
	}
}
