package route

import (
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/wire/filter"
)

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

// Normal is t as a sidecar gets it.
func Normal(t *mesh.Topic) *mesh.Topic {
	out := &mesh.Topic{Name: t.Name}
	for _, r := range t.Rules {
		r.Filters = filter.Normal(r.Filters)
		r.Retry = normalRetry(r.Retry)
		out.Rules = append(out.Rules, r)
	}
	out.Rules = reachable(out.Rules)
	return out
}
