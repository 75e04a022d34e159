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
	statuses  map[v1alpha1.ObjectName]*v1alpha1.Status
}

// settings are the inputs of conditions, besides the sidecars. Values behind its
// pointers are replaced, never changed.
type settings struct {
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
	return &State{opts: o, statuses: map[v1alpha1.ObjectName]*v1alpha1.Status{}}
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
	return news
}

// Wait notes the objects whose newest declaration waits, and why; nil when none does.
// The caller gives the map up.
func (s *State) Wait(reasons map[v1alpha1.ObjectName]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set.waiting = reasons
}

func (s *State) settings() settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set
}

// Observe computes the conditions of every object from the sidecars' answers and
// offers them to the outbox. The time of a transition is that of the observation, so
// it is called after every change. The snapshot is shared with the outbox: it must not
// be changed.
func (s *State) Observe() Snapshot {
	s.observing.Lock()
	defer s.observing.Unlock()
	sidecars := s.opts.Sidecars()
	set := s.settings()
	out := Snapshot{LoadedAt: set.loadedAt, Sidecars: sidecars}
	if set.inForce != nil {
		out.Version, out.Versions = set.inForce.Version, set.inForce.Versions
	}
	if set.refused != nil {
		out.Problems = set.refused.problems
	}
	count := newCounter(set.inForce, sidecars)
	statuses := make(map[v1alpha1.ObjectName]*v1alpha1.Status, len(s.statuses))
	for _, d := range set.declarations() {
		status := s.statuses[d.name]
		if status == nil {
			status = &v1alpha1.Status{}
		}
		statuses[d.name] = status
		var p Progress
		p, d.inForce = count.progress(d.name)
		for _, c := range conditions(d, p) {
			status.SetCondition(c, s.opts.Now())
		}
		out.Objects = append(out.Objects, Object{d.name, slices.Clone(status.Conditions), p})
	}
	s.statuses = statuses // what is declared no longer is forgotten
	if s.opts.Outbox != nil {
		s.opts.Outbox.Offer(out.Objects)
	}
	return out
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
			at(&s.inForce.Objects[i]).serving = s.inForce.Objects[i].Value.GetGeneration()
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
