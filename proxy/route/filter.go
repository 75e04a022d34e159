package route

import (
	"strings"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
)

// Filter is a compiled conjunction of filters. The zero Filter matches
// everything. Semantics: CloudEvents Subscriptions API, section "Filters".
type Filter struct {
	all []mesh.Filter
}

// CompileFilters builds a Filter that matches when all of fs match.
func CompileFilters(fs []mesh.Filter) Filter { return Filter{all: fs} }

// Matches reports whether e passes the filter.
func (f Filter) Matches(e *event.Event) bool {
	for i := range f.all {
		if !matches(&f.all[i], e) {
			return false
		}
	}
	return true
}

func matches(f *mesh.Filter, e *event.Event) bool {
	switch f.Op {
	case mesh.Exact, mesh.Prefix, mesh.Suffix:
		v, ok := e.Lookup(f.Attr)
		return ok && compare(f.Op, v.String(), f.Value)
	case mesh.All:
		for i := range f.Sub {
			if !matches(&f.Sub[i], e) {
				return false
			}
		}
		return true
	case mesh.Any:
		for i := range f.Sub {
			if matches(&f.Sub[i], e) {
				return true
			}
		}
		return false
	case mesh.Not:
		return len(f.Sub) == 1 && !matches(&f.Sub[0], e)
	default:
		return false
	}
}

func compare(op mesh.FilterOp, have, want string) bool {
	switch op {
	case mesh.Exact:
		return have == want
	case mesh.Prefix:
		return strings.HasPrefix(have, want)
	default:
		return strings.HasSuffix(have, want)
	}
}
