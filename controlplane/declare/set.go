package declare

import (
	"strings"
	"time"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// Set is everything that is declared at one moment. Declare makes it.
type Set struct {
	// Objects in the order of their declaration, without duplicates, with their
	// defaults. An object with problems is among them, so that a reference
	// to it is not called dangling as well.
	Objects []Object
	// Incomplete is true when some text could not be read far enough to know an
	// object's name: it may declare a name that seems to be missing.
	Incomplete bool
	// Began and Read are when the source began to read the set and when it had read
	// it; zero when it does not report that.
	Began, Read time.Time
}

// Object is one declared object with its place.
type Object struct {
	// Value is the object.
	Value v1alpha1.Object
	// File is relative to the source's root; "" when the source has no files. Then
	// the object's name says where it is.
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
