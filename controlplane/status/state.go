package status

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/xds/server"
)

// InForce is a set that is served. It is immutable.
type InForce struct {
	Version string // hash of the content
	Objects []declare.Object
	// Resources lists the resources that each object is part of, Versions the version
	// of each, and Scoped those that only some sidecars get.
	Resources map[v1alpha1.ObjectName][]resolve.ResourceKey
	Versions  map[resolve.ResourceKey]string
	Scoped    map[resolve.ResourceKey]server.Scoped
}

// State is what is in force, what was refused, and the conditions that follow.
type State struct {
	now func() time.Time

	mu       sync.Mutex
	inForce  *InForce // nil until the first good set
	loadedAt time.Time
	refused  *refusal // nil when the newest set is in force
	// waiting says what a set takes away that waits until the files are still.
	waiting  map[v1alpha1.ObjectName]string
	statuses map[v1alpha1.ObjectName]*v1alpha1.Status
}

// refusal is the newest set that did not come into force.
type refusal struct {
	objects  []declare.Object
	all      []declare.Problem
	problems []declare.Problem // as many as are shown
}

// New returns a state in which nothing is in force.
func New(now func() time.Time) *State {
	return &State{now: now, statuses: map[v1alpha1.ObjectName]*v1alpha1.Status{}}
}

// MaxProblems bounds the problems that are kept of one set.
const MaxProblems = 1000

// Accept puts a set in force. The time it came into force stays when the content
// is the same.
func (s *State) Accept(c *InForce) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inForce == nil || s.inForce.Version != c.Version {
		s.loadedAt = s.now()
	}
	s.inForce, s.refused = c, nil
}

// Refuse keeps what is in force and returns the problems that the set refused
// before did not have.
func (s *State) Refuse(objects []declare.Object, problems []declare.Problem) (news []declare.Problem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[declare.Problem]bool{}
	if s.refused != nil {
		for _, p := range s.refused.all {
			known[p] = true
		}
	}
	for _, p := range problems {
		if !known[p] {
			news = append(news, p)
		}
	}
	s.refused = &refusal{objects: objects, all: problems, problems: problems}
	if more := len(problems) - MaxProblems; more > 0 {
		s.refused.problems = append(slices.Clone(problems[:MaxProblems]), declare.Problem{
			Message: fmt.Sprintf("%d more problems are not shown: warren config validate lists all of them", more),
		})
	}
	return news
}

// Wait takes note of what a set takes away that waits, nil when none waits.
func (s *State) Wait(losses map[v1alpha1.ObjectName]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = losses
}

// Snapshot is the state of the mesh at one moment.
type Snapshot struct {
	Version  string
	LoadedAt time.Time // zero before the first good set
	Problems []declare.Problem
	Objects  []Object // by kind, namespace and name
	Sidecars []server.Sidecar
	Versions map[resolve.ResourceKey]string // that should be in force
}

// Object is one object's part of a Snapshot.
type Object struct {
	Name       v1alpha1.ObjectName
	Conditions []v1alpha1.Condition
	Progress   Progress
}

// Observe computes the conditions of every object from what the sidecars have
// answered. The time of a transition is that of the observation, so it is called
// whenever something changed.
func (s *State) Observe(sidecars []server.Sidecar) Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Snapshot{LoadedAt: s.loadedAt, Sidecars: sidecars}
	if s.inForce != nil {
		out.Version, out.Versions = s.inForce.Version, s.inForce.Versions
	}
	if s.refused != nil {
		out.Problems = s.refused.problems
	}
	count := newCounter(s.inForce, sidecars)
	statuses := make(map[v1alpha1.ObjectName]*v1alpha1.Status)
	for _, name := range s.names() {
		status := s.statuses[name]
		if status == nil {
			status = &v1alpha1.Status{}
		}
		statuses[name] = status
		p, inForce := count.progress(name)
		for _, c := range conditions(declaration{problemsOf(name, out.Problems), inForce, s.waiting[name]}, p) {
			status.SetCondition(c, s.now())
		}
		out.Objects = append(out.Objects, Object{name, slices.Clone(status.Conditions), p})
	}
	s.statuses = statuses // what is declared no longer is forgotten
	return out
}

// names lists the objects in force and those of the set that was refused.
func (s *State) names() []v1alpha1.ObjectName {
	var names []v1alpha1.ObjectName
	add := func(objects []declare.Object) {
		for i := range objects {
			names = append(names, objects[i].Name())
		}
	}
	if s.inForce != nil {
		add(s.inForce.Objects)
	}
	if s.refused != nil {
		add(s.refused.objects)
	}
	slices.SortFunc(names, compareNames)
	return slices.Compact(names)
}

func problemsOf(name v1alpha1.ObjectName, problems []declare.Problem) []declare.Problem {
	var out []declare.Problem
	for _, p := range problems {
		if p.Object == name {
			out = append(out, p)
		}
	}
	return out
}
