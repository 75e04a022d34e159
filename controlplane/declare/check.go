package declare

import (
	"slices"
	"strings"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// Checked is an object that has been through Check.
type Checked struct {
	object   Object
	problems []Problem
}

// Check fills in the defaults of an object, in place, and validates it. The caller
// gives up o.Value: a source that shares it, as an informer does, hands over a copy.
//
// read are the problems that the source found when it read the object, such as a value
// of the wrong type. Of several problems about one field, or about fields inside one
// another, only the first is reported: it causes the others, because a value that
// could not be read was not set either.
func Check(o Object, read ...Problem) Checked {
	v1alpha1.Default(o.Value)
	problems := slices.Clone(read)
	for _, err := range v1alpha1.Validate(o.Value) {
		if !explained(err.Path, problems) {
			problems = append(problems, o.Problem(err))
		}
	}
	for i := range problems {
		problems[i].Object = o.Name()
	}
	return Checked{object: o, problems: problems}
}

// explained reports whether one of the problems causes what is wrong with path: it is
// about the same field, one inside or one around.
func explained(path string, problems []Problem) bool {
	return slices.ContainsFunc(problems, func(p Problem) bool {
		return within(p.Field, path) || within(path, p.Field)
	})
}

func within(path, around string) bool {
	rest, ok := strings.CutPrefix(path, around)
	return ok && around != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
