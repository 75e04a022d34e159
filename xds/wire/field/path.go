package field

import (
	"fmt"
	"strconv"
)

// Path is where in a resource something is wrong, in protobuf field names. An Any
// is transparent: the fields of what it holds follow directly.
type Path string

// Field is the path of a field of the message at p.
func (p Path) Field(name string) Path {
	if p == "" {
		return Path(name)
	}
	return p + "." + Path(name)
}

// Index is the path of an element of the list at p.
func (p Path) Index(i int) Path { return p + Path("["+strconv.Itoa(i)+"]") }

// Key is the path of a value of the map at p.
func (p Path) Key(k string) Path { return p + Path("["+strconv.Quote(k)+"]") }

// Errorf is fmt.Errorf with the path before it; of the path "", the whole resource, it is
// fmt.Errorf.
func (p Path) Errorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if p == "" {
		return err
	}
	return fmt.Errorf("%s: %w", p, err)
}
