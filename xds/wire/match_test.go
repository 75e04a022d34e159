package wire_test

import (
	"strings"

	"github.com/warrenmesh/warren/mesh"
)

// matches is the meaning of filters, as mesh.Filter defines it.
func matches(filters []mesh.Filter, event map[string]string) bool {
	for _, f := range filters {
		if !matchesOne(f, event) {
			return false
		}
	}
	return true
}

func matchesOne(f mesh.Filter, event map[string]string) bool {
	value := event[f.Attr]
	switch f.Op {
	case mesh.Exact:
		return value == f.Value
	case mesh.Prefix:
		return strings.HasPrefix(value, f.Value)
	case mesh.Suffix:
		return strings.HasSuffix(value, f.Value)
	case mesh.Not:
		return !matchesOne(f.Sub[0], event)
	case mesh.Any:
		for _, sub := range f.Sub {
			if matchesOne(sub, event) {
				return true
			}
		}
		return false
	default:
		return matches(f.Sub, event)
	}
}
