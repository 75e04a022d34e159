package wire

import (
	"fmt"
	"strconv"
)

// path is where in a resource something is wrong, in protobuf field names. An Any
// is transparent: the fields of what it holds follow directly.
type path string

func (p path) field(name string) path {
	if p == "" {
		return path(name)
	}
	return p + "." + path(name)
}

func (p path) index(i int) path { return p + path("["+strconv.Itoa(i)+"]") }

func (p path) key(k string) path { return p + path("["+strconv.Quote(k)+"]") }

func (p path) errorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if p == "" {
		return err
	}
	return fmt.Errorf("%s: %w", p, err)
}
