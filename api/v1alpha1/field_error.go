package v1alpha1

import (
	"strconv"
	"strings"
)

// Path is the path of a field inside an object, from its root:
// "spec.rules[0].backendRefs[1].weight", "spec.selector.matchLabels[app]".
type Path string

// Child is the path of a field of the struct at p.
func (p Path) Child(name string) Path {
	if p == "" {
		return Path(name)
	}
	return p + "." + Path(name)
}

// Index is the path of element i of the list at p.
func (p Path) Index(i int) Path { return p + Path("["+strconv.Itoa(i)+"]") }

// Key is the path of the value under key k of the map at p.
func (p Path) Key(k string) Path { return p + Path("["+k+"]") }

// ErrorKind is the kind of a field error; each kind is a condition reason.
type ErrorKind int

// The kinds of field errors.
const (
	// Invalid is a value that is not allowed.
	Invalid ErrorKind = iota
	// Unsupported is a value that a later version will allow.
	Unsupported
	// RefNotFound is a reference to an object that is not declared.
	RefNotFound
	// Conflict is a value that contradicts another object.
	Conflict
)

// String returns the condition reason.
func (k ErrorKind) String() string {
	switch k {
	case Unsupported:
		return ReasonUnsupported
	case RefNotFound:
		return ReasonRefNotFound
	case Conflict:
		return ReasonConflicted
	default:
		return ReasonInvalid
	}
}

// FieldError is one error in one field of one object.
type FieldError struct {
	// Path of the field; empty means the object as a whole.
	Path string
	// Message says what is wrong and what is allowed.
	Message string
	// Kind of the error.
	Kind ErrorKind
}

// Error implements error.
func (e FieldError) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return e.Path + ": " + e.Message
}

// DidYouMean returns ` (did you mean "x"?)` for the candidate nearest to value, or ""
// when none is near. A candidate is near when at most a third of the letters differ,
// ignoring case.
func DidYouMean(value string, candidates []string) string {
	best, bestDistance := "", len(value)/3+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(value), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if best == "" || value == "" {
		return ""
	}
	return ` (did you mean "` + best + `"?)`
}

// distance is the optimal string alignment distance in bytes: insertions,
// deletions, substitutions and swaps of neighbours cost 1.
func distance(a, b string) int {
	previous2, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], previous2[j-2]+1)
			}
		}
		previous2, previous, current = previous, current, previous2
	}
	return previous[len(b)]
}
