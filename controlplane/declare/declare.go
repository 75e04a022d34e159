package declare

import (
	"fmt"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// Batch is everything that one source found. The slices are not changed afterwards, so
// batches can share their content.
type Batch struct {
	// Source is what messages call the source of an object that is in no file, such as
	// "kubernetes".
	Source string
	// Objects in the order of their declaration.
	Objects []Checked
	// Problems that belong to no object: text that could not be read as an object.
	Problems []Problem
	// Incomplete is true when the source could not read everything: the unread part
	// may declare a name that seems to be missing.
	Incomplete bool
}

// Declare joins what the sources found into one set. Of several objects of one name it
// takes the first, whichever batch it is in, and each other one is a problem. An
// object without a name is not part of the set. The problems are those of the batches,
// those of the objects and its own, sorted by place. A set with problems must not come
// into force.
func Declare(batches ...Batch) (Set, []Problem) {
	var set Set
	var problems []Problem
	seen := map[v1alpha1.ObjectName]string{}
	for i := range batches {
		b := &batches[i]
		set.Incomplete = set.Incomplete || b.Incomplete
		problems = append(problems, b.Problems...)
		for n := range b.Objects {
			o := &b.Objects[n].object
			problems = append(problems, b.Objects[n].problems...)
			if o.Value.GetName() == "" {
				set.Incomplete = true // it may have been meant to be any
				continue
			}
			if first, dup := seen[o.Name()]; dup {
				problems = append(problems, declaredTwice(o, first))
				continue
			}
			seen[o.Name()] = o.place(b.Source)
			set.Objects = append(set.Objects, *o)
		}
	}
	Sort(problems)
	return set, problems
}

// place is " at file:line", or " in " and the source of an object that is in no file.
func (o *Object) place(source string) string {
	switch {
	case o.File != "":
		return fmt.Sprintf(" at %s:%d", o.File, o.Line)
	case source != "":
		return " in " + source
	default:
		return ""
	}
}

func declaredTwice(o *Object, first string) Problem {
	return o.Problem(v1alpha1.FieldError{
		Path:    "metadata.name",
		Message: fmt.Sprintf("%s is already declared%s: remove or rename one of the two", o.Name(), first),
		Kind:    v1alpha1.Conflict,
	})
}
