package controlplane

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/controlplane/source/file"
	"github.com/warrenmesh/warren/xds/server"
)

// state is what is in force, what was refused, and the conditions that follow.
type state struct {
	now func() time.Time

	mu       sync.Mutex
	inForce  *compiled // nil until the first good set
	loadedAt time.Time
	refused  *refusal // nil when the newest set is in force
	// deleted are objects that were in force, until their commitments end.
	deleted map[v1alpha1.ObjectName]declare.Commitment
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

func newState(now func() time.Time) *state {
	return &state{now: now, deleted: map[v1alpha1.ObjectName]declare.Commitment{}, statuses: map[v1alpha1.ObjectName]*v1alpha1.Status{}}
}

// tombstoneLife is how long a deleted object keeps binding one of its name.
const tombstoneLife = 5 * time.Minute

// maxProblems bounds the problems that are kept of one set.
const maxProblems = 1000

// committed are the objects in force and those deleted a while ago. They must not be
// changed.
func (s *state) committed() map[v1alpha1.ObjectName]declare.Commitment {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bury()
	out := maps.Clone(s.deleted)
	if s.inForce != nil {
		for i := range s.inForce.objects {
			out[s.inForce.objects[i].Name()] = declare.Commitment{Object: s.inForce.objects[i].Value}
		}
	}
	return out
}

// bury forgets deleted objects whose time has come. mu is held.
func (s *state) bury() {
	now := s.now()
	maps.DeleteFunc(s.deleted, func(_ v1alpha1.ObjectName, c declare.Commitment) bool { return !now.Before(c.Until) })
}

// accept puts a set in force. The time it came into force stays when the content
// is the same.
func (s *state) accept(c *compiled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bury()
	if s.inForce != nil {
		for i := range s.inForce.objects {
			o := &s.inForce.objects[i]
			s.deleted[o.Name()] = declare.Commitment{Object: o.Value, Until: s.now().Add(tombstoneLife)}
		}
	}
	for i := range c.objects {
		delete(s.deleted, c.objects[i].Name())
	}
	if s.inForce == nil || s.inForce.version != c.version {
		s.loadedAt = s.now()
	}
	s.inForce, s.refused = c, nil
}

// refuse keeps what is in force and returns the problems that the set refused
// before did not have.
func (s *state) refuse(objects []declare.Object, problems []declare.Problem) (news []declare.Problem) {
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
	if more := len(problems) - maxProblems; more > 0 {
		s.refused.problems = append(slices.Clone(problems[:maxProblems]), declare.Problem{
			Message: fmt.Sprintf("%d more problems are not shown: warren config validate lists all of them", more),
		})
	}
	return news
}

// wait takes note of what a set takes away that waits, nil when none waits.
func (s *state) wait(losses []file.Loss) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = make(map[v1alpha1.ObjectName]string, len(losses))
	for _, l := range losses {
		s.waiting[l.Object] = l.Text
	}
}

// snapshot is the state of the mesh at one moment.
type snapshot struct {
	version  string
	loadedAt time.Time // zero before the first good set
	problems []declare.Problem
	objects  []objectStatus // by kind, namespace and name
	sidecars []server.Sidecar
	versions map[resolve.ResourceKey]string // that should be in force
}

// objectStatus is one object's part of a snapshot.
type objectStatus struct {
	name       v1alpha1.ObjectName
	conditions []v1alpha1.Condition
	progress   progress
}

// observe computes the conditions of every object from what the sidecars have
// answered. The time of a transition is that of the observation, so it is called
// whenever something changed.
func (s *state) observe(sidecars []server.Sidecar) snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := snapshot{loadedAt: s.loadedAt, sidecars: sidecars}
	if s.inForce != nil {
		out.version, out.versions = s.inForce.version, s.inForce.versions
	}
	if s.refused != nil {
		out.problems = s.refused.problems
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
		for _, c := range conditions(declaration{problemsOf(name, out.problems), inForce, s.waiting[name]}, p) {
			status.SetCondition(c, s.now())
		}
		out.objects = append(out.objects, objectStatus{name, slices.Clone(status.Conditions), p})
	}
	s.statuses = statuses // what is declared no longer is forgotten
	return out
}

// names lists the objects in force and those of the set that was refused.
func (s *state) names() []v1alpha1.ObjectName {
	var names []v1alpha1.ObjectName
	add := func(objects []declare.Object) {
		for i := range objects {
			names = append(names, objects[i].Name())
		}
	}
	if s.inForce != nil {
		add(s.inForce.objects)
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
