package declare

import (
	"fmt"
	"sync"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// TombstoneLife is how long a deleted object restricts a new one of its name.
const TombstoneLife = 5 * time.Minute

// Commitments know the objects that are in force or were deleted recently. Certain
// fields of those must not change, because their queues are on a broker and may be in
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
	until  time.Time // until when it restricts its name
}

// NewCommitments returns commitments without objects.
func NewCommitments(now func() time.Time) *Commitments {
	return &Commitments{now: now, deleted: map[v1alpha1.ObjectName]tombstone{}}
}

// Violations are the changes of a set that are not allowed.
type Violations struct {
	Problems []Problem
	// Passes is true when all of them are about deleted objects: the set can come into
	// force unchanged once their TombstoneLife has passed.
	Passes bool
}

// Violations lists changes that would break the order or the queues of an object that
// is in force or was deleted recently. Deleted ones count too: a file that is empty
// for a moment, or an object that is deleted and declared anew, must not get around
// the rule.
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

// bury forgets deleted objects whose TombstoneLife has passed. mu is held.
func (c *Commitments) bury() {
	now := c.now()
	for name, t := range c.deleted {
		if !now.Before(t.until) {
			delete(c.deleted, name)
		}
	}
}
