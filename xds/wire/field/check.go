package field

import (
	"fmt"
	"slices"
	"strings"
)

// MaxShortStr is the most bytes of an AMQP 0-9-1 shortstr, such as a name.
const MaxShortStr = 255

const reservedAMQP = "amq."

// CheckAttribute refuses what is not the name of a CloudEvents attribute.
func CheckAttribute(s string) error {
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

// CheckAMQPName refuses what cannot be the name of an exchange or a queue of ours.
func CheckAMQPName(p Path, name string) error {
	switch {
	case name == "":
		return p.Errorf("is required")
	case len(name) > MaxShortStr:
		return p.Errorf("has %d bytes, want at most %d", len(name), MaxShortStr)
	case strings.HasPrefix(name, reservedAMQP):
		return p.Errorf("%q: names that begin with %q are the broker's", name, reservedAMQP)
	}
	return nil
}

// CheckOneOf refuses a word that is not allowed.
func CheckOneOf(p Path, s string, allowed []string) error {
	if !slices.Contains(allowed, s) {
		return p.Errorf("%q: want one of %s", s, strings.Join(allowed, ", "))
	}
	return nil
}
