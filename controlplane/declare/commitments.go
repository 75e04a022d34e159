package declare

import (
	"fmt"
	"sync"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// TombstoneLife is how long a deleted object keeps binding one of its name.
const TombstoneLife = 5 * time.Minute

// Commitments know the objects in force, and those that were until a short while ago,
// which must not change in certain ways: their queues are on a broker and may be in
// use. Use NewCommitments.
type Commitments struct {
	now func() time.Time

	mu      sync.Mutex
	inForce map[v1alpha1.ObjectName]v1alpha1.Object
	deleted map[v1alpha1.ObjectName]tombstone
}

// tombstone is an object that was in force.
type tombstone struct {
	object v1alpha1.Object
	until  time.Time // it binds
}

// NewCommitments returns commitments to nothing.
func NewCommitments(now func() time.Time) *Commitments {
	return &Commitments{now: now, deleted: map[v1alpha1.ObjectName]tombstone{}}
}

// Violations are what a set must not change.
type Violations struct {
	Problems []Problem
	// Passes is true when all of them are about objects that were deleted: in a while
	// the set may come into force as it is.
	Passes bool
}

// Violations lists what would break the order or the queues of an object that is in
// force, or was until a while ago: a file that is empty for a moment, or an object
// that is deleted and declared anew, must not get around it.
func (c *Commitments) Violations(set Set) Violations {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bury()
	v := Violations{Passes: true}
	for i := range set.Objects {
		o := &set.Objects[i]
		before, stands := c.inForce[o.Name()]
		was := c.deleted[o.Name()]
		if !stands {
			before = was.object
		}
		path, what := broken(before, o.Value)
		if what == "" {
			continue
		}
		if stands {
			v.Passes = false
		} else {
			what += fmt.Sprintf(" (it was deleted a short while ago: the new declaration comes into force by itself after %s)", was.until.UTC().Format(time.TimeOnly+" MST"))
		}
		v.Problems = append(v.Problems, o.Problem(v1alpha1.FieldError{Path: string(path), Kind: v1alpha1.Invalid, Message: what}))
	}
	v.Passes = v.Passes && len(v.Problems) > 0
	return v
}

// Commit puts a set's objects in force, in place of those before.
func (c *Commitments) Commit(set Set) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bury()
	until := c.now().Add(TombstoneLife)
	for name, object := range c.inForce {
		c.deleted[name] = tombstone{object, until}
	}
	c.inForce = make(map[v1alpha1.ObjectName]v1alpha1.Object, len(set.Objects))
	for i := range set.Objects {
		name := set.Objects[i].Name()
		c.inForce[name] = set.Objects[i].Value
		delete(c.deleted, name)
	}
}

// bury forgets deleted objects whose time has come. mu is held.
func (c *Commitments) bury() {
	now := c.now()
	for name, t := range c.deleted {
		if !now.Before(t.until) {
			delete(c.deleted, name)
		}
	}
}
