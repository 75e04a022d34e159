package declare

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// Problem is one thing wrong with a declared set.
type Problem struct {
	// File is relative to the source's root; "" when the problem is not about a file.
	File string
	// Line from 1; 0 when it is not known.
	Line int
	// Field is the path of the field; "" when the problem is not about one field.
	Field string
	// Message says what is wrong and what would be valid.
	Message string
	// Object is the zero value when the problem is not about an object.
	Object v1alpha1.ObjectName
	// Kind sorts the problem into the reasons conditions speak of.
	Kind v1alpha1.ErrorKind
}

// String returns "file:line: field: message", without the parts that are not known.
// The object's name stands for a place that is not known.
func (p Problem) String() string {
	var b strings.Builder
	switch {
	case p.File != "" && p.Line > 0:
		b.WriteString(p.File + ":" + strconv.Itoa(p.Line) + ": ")
	case p.File != "":
		b.WriteString(p.File + ": ")
	case p.Object != (v1alpha1.ObjectName{}):
		b.WriteString(p.Object.String() + ": ")
	}
	if p.Field != "" {
		b.WriteString(p.Field)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Error implements error.
func (p Problem) Error() string { return p.String() }

// Sort orders problems in reading order: by file, line, field and message. Problems
// without a file are ordered by object first.
func Sort(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.object(), b.object()),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message),
		)
	})
}

// object orders problems that have no place.
func (p *Problem) object() string {
	if p.File != "" {
		return ""
	}
	return p.Object.String()
}
