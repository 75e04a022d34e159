package wire

import "github.com/warrenmesh/warren/mesh"

// normalFilters rewrites a topic rule's filters into the form that Envoy's
// matchers can carry, which matches the same events: an All at the top is part of
// the list, and a list of one is its only element.
func normalFilters(filters []mesh.Filter) []mesh.Filter {
	var out []mesh.Filter
	for _, f := range filters {
		if f = normalFilter(f); f.Op == mesh.All && len(f.Sub) > 0 {
			out = append(out, normalFilters(f.Sub)...)
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

// normalRetry drops fields that have no effect when there is one attempt.
func normalRetry(r mesh.Retry) mesh.Retry {
	if r.Attempts <= 1 {
		r.On, r.Backoff = nil, mesh.Backoff{}
	}
	return r
}

// reachable returns the rules up to the first that matches everything.
func reachable(rules []mesh.Rule) []mesh.Rule {
	for i := range rules {
		if len(rules[i].Filters) == 0 {
			return rules[:i+1]
		}
	}
	return rules
}

// normalTopic is t as a sidecar gets it.
func normalTopic(t *mesh.Topic) *mesh.Topic {
	out := &mesh.Topic{Name: t.Name}
	for _, r := range t.Rules {
		r.Filters = normalFilters(r.Filters)
		r.Retry = normalRetry(r.Retry)
		out.Rules = append(out.Rules, r)
	}
	out.Rules = reachable(out.Rules)
	return out
}

func isComparison(f mesh.Filter) bool {
	return f.Op == mesh.Exact || f.Op == mesh.Prefix || f.Op == mesh.Suffix
}

// isHeader reports whether one header matcher can say f.
func isHeader(f mesh.Filter) bool {
	return isComparison(f) || f.Op == mesh.Not && len(f.Sub) == 1 && isComparison(f.Sub[0])
}
