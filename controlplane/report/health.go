package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	reportv1 "github.com/warrenmesh/warren/api/report/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/status"
	"github.com/warrenmesh/warren/internal/clip"
)

// Bounds of the state of one sidecar. What is beyond them is left out.
const (
	maxNodes      = 256
	maxUndeclared = 256
	maxUnbacked   = 256
	maxText       = 300
	maxWord       = 64
	// maxReasons bounds the sidecars whose words are kept of one node or object.
	maxReasons = 16
)

// brokerView is a declared broker as all sidecars see it.
type brokerView struct {
	nodes    map[string]*nodeView   // by address
	holders  map[*reporter]struct{} // those that can consume from it
	measurer *reporter
	queues   map[string]*queue // that are measured
	leftOut  int
}

// nodeView is a node as all sidecars see it.
type nodeView struct {
	server   string
	up       int
	troubled map[*reporter]trouble
}

// trouble is why a sidecar cannot use a node.
type trouble struct {
	blocked bool
	reason  string
}

// refusal is why a sidecar could not declare an object.
type refusal struct{ reason, message string }

// hold counts a sidecar's state in what all of them see. mu is held.
func (s *Store) hold(r *reporter, state *reportv1.State) {
	s.bound(state)
	r.state, r.held, r.version = state, true, state.GetConfigVersion()
	for _, n := range state.GetNodes() {
		b := s.brokers[n.GetBroker()]
		if b == nil {
			continue // it is declared no more
		}
		view := b.node(n.GetAddress())
		view.server = cmp.Or(n.GetServer(), view.server)
		if n.GetConsuming() {
			b.holders[r] = struct{}{}
		}
		if n.GetConsuming() && n.GetPublishing() && n.GetReason() == "" {
			view.up++
			continue
		}
		view.troubled[r] = trouble{n.GetBlocked(), fewer(n.GetReason(), len(view.troubled))}
	}
	for _, u := range state.GetUndeclared() {
		name, ok := s.declared.object(u.GetKind(), u.GetObject())
		if !ok {
			continue
		}
		if s.troubled[name] == nil {
			s.troubled[name] = map[*reporter]refusal{}
		}
		s.troubled[name][r] = refusal{u.GetReason(), fewer(u.GetMessage(), len(s.troubled[name]))}
	}
	for _, q := range state.GetQueuesWithoutBackstop() {
		if _, ok := s.declared.queues[q]; ok {
			s.unbacked[q]++
		}
	}
}

// fewer keeps the words of the first few.
func fewer(text string, had int) string {
	if had >= maxReasons {
		return ""
	}
	return text
}

func (b *brokerView) node(address string) *nodeView {
	view := b.nodes[address]
	if view == nil {
		view = &nodeView{troubled: map[*reporter]trouble{}}
		b.nodes[address] = view
	}
	return view
}

// retract takes back what hold has counted. mu is held.
func (s *Store) retract(r *reporter) {
	if !r.held {
		return
	}
	r.held = false
	for _, n := range r.state.GetNodes() {
		b := s.brokers[n.GetBroker()]
		if b == nil || b.nodes[n.GetAddress()] == nil {
			continue
		}
		delete(b.holders, r)
		view := b.nodes[n.GetAddress()]
		if _, ok := view.troubled[r]; ok {
			delete(view.troubled, r)
		} else {
			view.up--
		}
		if view.up+len(view.troubled) == 0 {
			delete(b.nodes, n.GetAddress())
		}
	}
	for _, u := range r.state.GetUndeclared() {
		name, _ := s.declared.object(u.GetKind(), u.GetObject())
		delete(s.troubled[name], r)
		if len(s.troubled[name]) == 0 {
			delete(s.troubled, name)
		}
	}
	for _, q := range r.state.GetQueuesWithoutBackstop() {
		if s.unbacked[q]--; s.unbacked[q] <= 0 {
			delete(s.unbacked, q)
		}
	}
}

// settle follows from what was held and retracted. mu is held.
func (s *Store) settle() {
	s.elect()
	s.touch()
}

// bound cuts a state to what may be kept of it. Twice the same node, object or queue
// would count twice. mu is held.
func (s *Store) bound(state *reportv1.State) {
	had := len(state.GetNodes()) + len(state.GetUndeclared()) + len(state.GetQueuesWithoutBackstop())
	state.Nodes = distinct(state.GetNodes(), maxNodes, func(n *reportv1.BrokerNode) string { return n.GetBroker() + " " + n.GetAddress() })
	state.Undeclared = distinct(state.GetUndeclared(), maxUndeclared, func(u *reportv1.Undeclared) string { return u.GetKind() + " " + u.GetObject() })
	state.QueuesWithoutBackstop = distinct(state.GetQueuesWithoutBackstop(), maxUnbacked, func(q string) string { return q })
	for _, n := range state.Nodes {
		n.Address, n.Server, n.Reason = word(n.GetAddress()), word(n.GetServer()), text(n.GetReason())
	}
	for _, u := range state.Undeclared {
		u.Reason, u.Message = word(u.GetReason()), text(u.GetMessage())
	}
	state.ConfigVersion = word(state.GetConfigVersion())
	if left := had - len(state.Nodes) - len(state.Undeclared) - len(state.QueuesWithoutBackstop); left > 0 {
		s.losses.entries += uint64(left) //nolint:gosec // above zero
	}
}

// distinct returns the first of each name, at most so many.
func distinct[T any](all []T, most int, name func(T) string) []T {
	seen := make(map[string]struct{}, min(len(all), most))
	return slices.DeleteFunc(all, func(one T) bool {
		if _, again := seen[name(one)]; again || len(seen) == most {
			return true
		}
		seen[name(one)] = struct{}{}
		return false
	})
}

func word(s string) string { return clip.String(printable(s), maxWord) }
func text(s string) string { return clip.String(printable(s), maxText) }

// printable replaces what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsGraphic(c) {
			return c
		}
		return ' '
	}, s)
}

// Findings returns what sidecars found wrong, and which brokers work, by object. Of an
// object that is not in it nothing is known. The map must not be changed.
func (s *Store) Findings() map[v1alpha1.ObjectName]status.Finding {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.findings != nil {
		return s.findings
	}
	s.findings = make(map[v1alpha1.ObjectName]status.Finding, len(s.troubled)+len(s.brokers))
	for name, by := range s.troubled {
		s.findings[name] = undeclared(by)
	}
	for name, b := range s.brokers {
		if len(b.nodes) > 0 {
			namespace, short, _ := strings.Cut(name, "/")
			s.findings[v1alpha1.ObjectName{Kind: v1alpha1.KindEventBroker, Namespace: namespace, Name: short}] = b.finding()
		}
	}
	return s.findings
}

// sample is how many sidecars a message names.
const sample = 3

// undeclared says which sidecars could not declare an object, and why.
func undeclared(by map[*reporter]refusal) status.Finding {
	ids := make([]string, 0, len(by))
	var first refusal
	for _, r := range sortedReporters(by) {
		ids = append(ids, r.identity.node)
		if first.message == "" {
			first = by[r]
		}
	}
	return status.Finding{
		Undeclared: len(by), Reason: camel(first.reason),
		Message: fmt.Sprintf("%d of the sidecars that use it cannot declare it: %s (%s)", len(by), first.message, listed(ids)),
	}
}

func sortedReporters[V any](of map[*reporter]V) []*reporter {
	return slices.SortedFunc(maps.Keys(of), func(a, b *reporter) int {
		return cmp.Or(cmp.Compare(a.identity.node, b.identity.node), cmp.Compare(a.identity.instance, b.identity.instance))
	})
}

// listed names the first few.
func listed(ids []string) string {
	if more := len(ids) - sample; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:sample], ", "), more)
	}
	return strings.Join(ids, ", ")
}

// camel turns TOPOLOGY_CONFLICT into TopologyConflict, as conditions have it.
func camel(reason string) string {
	var out strings.Builder
	for part := range strings.SplitSeq(strings.ToLower(reason), "_") {
		if part != "" {
			out.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return cmp.Or(out.String(), v1alpha1.ReasonUndeclared)
}

// finding says how a broker is. One node that one sidecar cannot use is worth saying.
func (b *brokerView) finding() status.Finding {
	var bad []string
	up, blocked := 0, false
	for _, address := range slices.Sorted(maps.Keys(b.nodes)) {
		n := b.nodes[address]
		if len(n.troubled) == 0 {
			up++
			continue
		}
		if n.up > 0 {
			up++
		}
		why := n.worst()
		blocked = blocked || why.blocked
		bad = append(bad, fmt.Sprintf("%s: %d of %d sidecars cannot use it: %s", cmp.Or(address, "in memory"), len(n.troubled), len(n.troubled)+n.up, why.reason))
	}
	f := status.Finding{Health: v1alpha1.ConditionTrue, HealthReason: v1alpha1.ReasonUp, HealthMessage: fmt.Sprintf("%d of %d nodes are up", up, len(b.nodes))}
	if len(bad) == 0 {
		return f
	}
	f.Health, f.HealthMessage = v1alpha1.ConditionFalse, strings.Join(bad, "; ")
	switch {
	case blocked:
		f.HealthReason = v1alpha1.ReasonAlarm
	case up == 0:
		f.HealthReason = v1alpha1.ReasonDown
	default:
		f.HealthReason = v1alpha1.ReasonDegraded
	}
	return f
}

// worst is the trouble to tell: an alarm, or the first that has words.
func (n *nodeView) worst() trouble {
	var out trouble
	for _, r := range sortedReporters(n.troubled) {
		t := n.troubled[r]
		if t.blocked && t.reason != "" {
			return t
		}
		if out.reason == "" {
			out = t
		}
	}
	return out
}
