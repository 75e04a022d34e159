package status

import (
	"cmp"
	"slices"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/resolve"
	"github.com/warrenmesh/warren/xds/server"
)

// Progress counts how far an object has come, in sidecars. A sidecar that it does
// not concern does not count: it concerns those that have, or have asked for, one
// of its resources, and those that a subscription's selector picks.
type Progress struct {
	Acked, Pending, Rejected uint32
	LastError                string // of a rejection
}

// Total counts the sidecars that the object concerns.
func (p Progress) Total() uint32 { return p.Acked + p.Pending + p.Rejected }

// counter counts the progress of objects at one moment.
type counter struct {
	inForce  *InForce // may be nil
	sidecars []server.Sidecar
	held     map[resolve.ResourceKey][]holding
}

// holding is a resource at one sidecar.
type holding struct {
	sidecar int
	state   server.ResourceState
}

func newCounter(inForce *InForce, sidecars []server.Sidecar) *counter {
	c := &counter{inForce: inForce, sidecars: sidecars, held: map[resolve.ResourceKey][]holding{}}
	for i := range sidecars {
		for _, r := range sidecars[i].Resources {
			k := resolve.ResourceKey{TypeURL: r.TypeURL, Name: r.Name}
			c.held[k] = append(c.held[k], holding{i, r})
		}
	}
	return c
}

// standing of an object at one sidecar; the worst of its resources counts.
type standing int

const (
	standsAcked standing = iota + 1
	standsPending
	standsRejected
)

// progress counts for one object; false means that it is not in force.
func (c *counter) progress(name v1alpha1.ObjectName) (Progress, bool) {
	if c.inForce == nil {
		return Progress{}, false
	}
	resources, inForce := c.inForce.Resources[name]
	var p Progress
	worst := map[int]standing{}
	for _, k := range resources {
		for _, i := range c.selected(k) {
			worst[i] = max(worst[i], c.unsent(i, k))
		}
		for _, h := range c.held[k] {
			at := standingOf(h.state, c.inForce.Versions[k])
			worst[h.sidecar] = max(worst[h.sidecar], at)
			if at == standsRejected && p.LastError == "" {
				p.LastError = h.state.Error
			}
		}
	}
	for _, s := range worst {
		switch s {
		case standsAcked:
			p.Acked++
		case standsPending:
			p.Pending++
		case standsRejected:
			p.Rejected++
		}
	}
	return p, inForce
}

// selected lists the sidecars that a subscription's selector picks.
func (c *counter) selected(k resolve.ResourceKey) []int {
	scope, ok := c.inForce.Scoped[k]
	if !ok {
		return nil
	}
	var out []int
	for i := range c.sidecars {
		if n := c.sidecars[i].Node; n.Namespace == scope.Namespace && scope.Match(n.Labels) {
			out = append(out, i)
		}
	}
	return out
}

// unsent is standsPending while the sidecar was not sent the resource at all.
func (c *counter) unsent(sidecar int, k resolve.ResourceKey) standing {
	if slices.ContainsFunc(c.held[k], func(h holding) bool { return h.sidecar == sidecar }) {
		return 0
	}
	return standsPending
}

// standingOf judges a sidecar's answer to a resource whose version in force is
// version. An answer to an older version does not count.
func standingOf(r server.ResourceState, version string) standing {
	switch {
	case r.Version != version:
		return standsPending
	case r.State == server.Nacked:
		return standsRejected
	case r.State == server.Acked:
		return standsAcked
	default:
		return standsPending
	}
}

func compareNames(a, b v1alpha1.ObjectName) int {
	return cmp.Or(
		cmp.Compare(slices.Index(v1alpha1.Kinds(), a.Kind), slices.Index(v1alpha1.Kinds(), b.Kind)),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}
