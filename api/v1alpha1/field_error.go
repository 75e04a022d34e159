package v1alpha1

import "strconv"

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
