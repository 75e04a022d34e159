// Package declare holds what every source of declared objects hands on: the
// objects themselves, where each field stands, and what is wrong with them.
//
// It owns Set, Object and Problem. Where objects come from is the business of the
// packages below it: source/file reads a directory of YAML. A Set is immutable
// once a source handed it on, and may be shared between goroutines.
//
//	set, problems := file.Load("config")
//	for _, p := range problems {
//		fmt.Println(p) // routes.yaml:14: spec.rules[0].timeout: is 0s: want ...
//	}
package declare

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// Set is everything a source declares at one moment.
type Set struct {
	// Objects in the order of their declaration, without duplicates, through
	// v1alpha1.Default. An object with problems is among them, so that a reference
	// to it is not called dangling as well.
	Objects []Object
	// Incomplete is true when there was text from which not even the name of an
	// object could be read: a name that is absent may be in there.
	Incomplete bool
	// Began and Read are when the source began to read the set and when it had read
	// it; zero when it does not say.
	Began, Read time.Time
}

// Object is one declared object and where it stands.
type Object struct {
	// Value is the object.
	Value v1alpha1.Object
	// File is relative to the source's root; "" when there are no files.
	File string
	// Line of the object's first field, from 1; 0 when it is not known.
	Line int
	// Lines gives the line of each field that is set, by its v1alpha1.Path.
	Lines map[string]int
}

// Name identifies the object.
func (o *Object) Name() v1alpha1.ObjectName { return v1alpha1.NameOf(o.Value) }

// LineOf returns the line of a field, or of the nearest field around it that is
// set, or of the object.
func (o *Object) LineOf(path string) int {
	for path != "" {
		if line, ok := o.Lines[path]; ok {
			return line
		}
		path = parent(path)
	}
	return o.Line
}

// Problem says what is wrong with one field of the object.
func (o *Object) Problem(err v1alpha1.FieldError) Problem {
	return Problem{
		File: o.File, Line: o.LineOf(err.Path), Field: err.Path,
		Message: err.Message, Object: o.Name(), Kind: err.Kind,
	}
}

// parent cuts the last element off a path: "a.b[0]" to "a.b" to "a" to "". A map
// key in brackets may contain dots.
func parent(path string) string {
	if strings.HasSuffix(path, "]") {
		return path[:max(0, strings.LastIndexByte(path, '['))]
	}
	return path[:max(0, strings.LastIndexByte(path, '.'))]
}

// Problem is one thing wrong with a declared set.
type Problem struct {
	// File is relative to the source's root; "" when it is about no file.
	File string
	// Line from 1; 0 when it is not known.
	Line int
	// Field is the path of the field; "" when it is about no single one.
	Field string
	// Message says what is wrong and what would be right.
	Message string
	// Object is the zero value when the problem is about no object.
	Object v1alpha1.ObjectName
	// Kind sorts the problem into the reasons conditions speak of.
	Kind v1alpha1.ErrorKind
}

// String returns "file:line: field: message", without the parts that are not
// known.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			b.WriteByte(':')
			b.WriteString(strconv.Itoa(p.Line))
		}
		b.WriteString(": ")
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

// Sort orders problems as a reader meets them: by file, line, field and message.
func Sort(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message),
		)
	})
}
