package filter

import "github.com/warrenmesh/warren/mesh"

// Normal rewrites a topic rule's filters into the form that Envoy's
// matchers can carry, which matches the same events: an All at the top is part of
// the list, and a list of one is its only element.
func Normal(filters []mesh.Filter) []mesh.Filter {
	var out []mesh.Filter
	for _, f := range filters {
		if f = normalFilter(f); f.Op == mesh.All && len(f.Sub) > 0 {
			out = append(out, Normal(f.Sub)...)
		} else {
			out = append(out, f)
		}
	}
	return out
}

func normalFilter(f mesh.Filter) mesh.Filter {
	if len(f.Sub) == 0 {
		return f
	}
	sub := make([]mesh.Filter, len(f.Sub))
	for i := range f.Sub {
		sub[i] = normalFilter(f.Sub[i])
	}
	if len(sub) == 1 && (f.Op == mesh.All || f.Op == mesh.Any) {
		return sub[0]
	}
	f.Sub = sub
	return f
}

func isComparison(f mesh.Filter) bool {
	return f.Op == mesh.Exact || f.Op == mesh.Prefix || f.Op == mesh.Suffix
}

// IsHeader reports whether one header matcher can say f.
func IsHeader(f mesh.Filter) bool {
	return isComparison(f) || f.Op == mesh.Not && len(f.Sub) == 1 && isComparison(f.Sub[0])
}
