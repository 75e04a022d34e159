package status

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/xds/server"
)

// MaxProblems bounds the problems that are kept of one set.
const MaxProblems = 1000

// Options configures a State.
type Options struct {
	// Now tells the time; nil means time.Now.
	Now func() time.Time
	// Sidecars returns the connected sidecars and what each has accepted; required.
	Sidecars func() []server.Sidecar
	// Findings returns what sidecars report, by object; nil when they do not. The map is
	// not changed.
	Findings func() map[v1alpha1.ObjectName]Finding
	// Outbox gets every object's status at each observation; nil for none.
	Outbox *Outbox
}

// State is what is in force, what was refused, and the conditions that follow. Use
// New.
type State struct {
	// set at construction
	opts Options

	mu  sync.Mutex // never held while anything is computed: Accept is on the push path
	set settings

	observing sync.Mutex // one observation at a time, so that the newest comes last
	last      observation
}

// observation is what was observed, and of what. What has not changed is taken over
// from one to the next, so that most of them cost a look at each object's counter.
type observation struct {
	revision     int
	declarations []declaration
	objects      []Object                    // of the declarations; never changed
	places       map[v1alpha1.ObjectName]int // in both
}

// settings are the inputs of conditions, besides the sidecars. Values behind its
// pointers are replaced, never changed.
type settings struct {
	revision int      // grows with each change
	inForce  *InForce // nil until the first good set
	loadedAt time.Time
	refused  *refusal // nil when the newest set is in force
	// waiting says why the newest declaration of an object waits.
	waiting map[v1alpha1.ObjectName]string
}

// refusal is the newest set that did not come into force.
type refusal struct {
	objects  []declare.Object
	all      []declare.Problem
	problems []declare.Problem // as many as are shown
}

// New returns a state in which nothing is in force.
func New(o Options) *State {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &State{opts: o}
}

// Accept puts a set in force. The time it came into force stays when the content
// is the same.
func (s *State) Accept(c *InForce) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.set.inForce == nil || s.set.inForce.Version != c.Version {
		s.set.loadedAt = s.opts.Now()
	}
	s.set.inForce, s.set.refused = c, nil
	s.set.revision++
}

// Refuse keeps the set in force. It returns the problems that the set refused before
// did not have.
func (s *State) Refuse(objects []declare.Object, problems []declare.Problem) (news []declare.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[declare.Problem]bool{}
	if s.set.refused != nil {
		for _, p := range s.set.refused.all {
			known[p] = true
		}
	}
	for _, p := range problems {
		if !known[p] {
			news = append(news, p)
		}
	}
	refused := &refusal{objects: objects, all: problems, problems: problems}
	if more := len(problems) - MaxProblems; more > 0 {
		refused.problems = append(slices.Clone(problems[:MaxProblems]), declare.Problem{
			Message: fmt.Sprintf("%d more problems are not shown: warren config validate lists all of them", more),
		})
	}
	s.set.refused = refused
	s.set.revision++
	return news
}

// Wait notes the objects whose newest declaration waits, and why; nil when none does.
// The caller gives the map up.
func (s *State) Wait(reasons map[v1alpha1.ObjectName]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set.waiting = reasons
	s.set.revision++
}

func (s *State) settings() settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set
}

// Snapshot observes, and lists the sidecars too.
func (s *State) Snapshot() Snapshot {
	out := s.Observe()
	out.Sidecars = s.opts.Sidecars()
	return out
}

// Observe computes the conditions of every object from the sidecars' answers and
// offers them to the outbox. The time of a transition is that of the observation, so
// it is called after every change. The snapshot is shared with the outbox: it must not
// be changed.
func (s *State) Observe() Snapshot {
	s.observing.Lock()
	defer s.observing.Unlock()
	set := s.settings()
	out := Snapshot{LoadedAt: set.loadedAt}
	if set.inForce != nil {
		out.Version, out.Versions = set.inForce.Version, set.inForce.Versions
	}
	if set.refused != nil {
		out.Problems = set.refused.problems
	}
	if s.look(&set) && s.opts.Outbox != nil {
		s.opts.Outbox.Offer(s.last.objects)
	}
	out.Objects = s.last.objects
	return out
}

// look brings the last observation up to date and tells whether anything is other than
// it was. s.observing is held.
func (s *State) look(set *settings) (changed bool) {
	was := s.last
	if was.places == nil || was.revision != set.revision {
		declarations := set.declarations()
		s.last = observation{set.revision, declarations, make([]Object, len(declarations)), make(map[v1alpha1.ObjectName]int, len(declarations))}
		changed = true
	}
	fresh, copied := changed, changed
	var findings map[v1alpha1.ObjectName]Finding
	if s.opts.Findings != nil {
		findings = s.opts.Findings()
	}
	for i, d := range s.last.declarations {
		d.reported, d.finding = s.opts.Findings != nil, findings[d.name]
		at, known := i, true
		if fresh {
			s.last.places[d.name] = i
			at, known = was.places[d.name]
		}
		p := d.progress()
		same := known && was.objects[at].Progress == p && was.declarations[at].same(&d)
		s.last.declarations[i] = d // with the finding
		if same {
			if copied {
				s.last.objects[i] = was.objects[at]
			}
			continue
		}
		if !copied { // others hold what was returned
			s.last.objects, copied = slices.Clone(was.objects), true
		}
		changed = true
		var status v1alpha1.Status
		if known {
			status.Conditions = slices.Clone(was.objects[at].Conditions)
		}
		for _, c := range conditions(d, p) {
			status.SetCondition(c, s.opts.Now())
		}
		s.last.objects[i] = Object{d.name, status.Conditions, p}
	}
	return changed
}

// declarations lists the objects in force and those of the set that was refused, by
// kind, namespace and name.
func (s *settings) declarations() []declaration {
	known := map[v1alpha1.ObjectName]*declaration{}
	at := func(o *declare.Object) *declaration {
		d := known[o.Name()]
		if d == nil {
			d = &declaration{name: o.Name(), waits: s.waiting[o.Name()]}
			known[d.name] = d
		}
		d.newest = o.Value.GetGeneration()
		return d
	}
	if s.inForce != nil {
		for i := range s.inForce.Objects {
			d := at(&s.inForce.Objects[i])
			d.serving = s.inForce.Objects[i].Value.GetGeneration()
			d.counter = s.inForce.Counters[d.name]
			d.inForce = d.counter != nil
		}
	}
	if s.refused != nil {
		for i := range s.refused.objects {
			at(&s.refused.objects[i])
		}
		for _, p := range s.refused.problems {
			if d := known[p.Object]; d != nil {
				d.problems = append(d.problems, p)
			}
		}
	}
	out := make([]declaration, 0, len(known))
	for _, d := range known {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b declaration) int { return compareNames(a.name, b.name) })
	return out
}
