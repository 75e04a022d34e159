package wire

import (
	"fmt"
	"slices"
	"strings"
)

const (
	maxShortStr  = 255 // bytes in an AMQP 0-9-1 shortstr, such as a name
	reservedAMQP = "amq."
)

func checkAttribute(s string) error {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return fmt.Errorf("attribute %q: want a-z and 0-9 only", s)
		}
	}
	if s == "" || s == "data" {
		return fmt.Errorf("attribute %q: want the name of a CloudEvents attribute", s)
	}
	return nil
}

func checkAMQPName(p path, name string) error {
	switch {
	case name == "":
		return p.errorf("is required")
	case len(name) > maxShortStr:
		return p.errorf("has %d bytes, want at most %d", len(name), maxShortStr)
	case strings.HasPrefix(name, reservedAMQP):
		return p.errorf("%q: names that begin with %q are the broker's", name, reservedAMQP)
	}
	return nil
}

func checkOneOf(p path, s string, allowed []string) error {
	if !slices.Contains(allowed, s) {
		return p.errorf("%q: want one of %s", s, strings.Join(allowed, ", "))
	}
	return nil
}
