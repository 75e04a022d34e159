package route

import (
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/event"
)

const (
	// maxScanned rules are faster tried one by one than looked up.
	maxScanned = 8
	// maxIndexed bounds the lookups of one match.
	maxIndexed = 4
)

// index finds the rules that may match an event. A rule that asks for one exact
// value of an attribute is tried only for events with that value, so that a topic of
// 10,000 rules, each for its own type, matches as fast as one of two.
type index struct {
	attributes []attributeIndex
	others     []int // rules that are always tried, ascending
}

// attributeIndex has the rules that ask for a value of one attribute.
type attributeIndex struct {
	name   string
	values map[string][]int // ascending
}

func newIndex(rules []Rule) index {
	var x index
	for i := range rules {
		if len(rules) <= maxScanned || !x.add(i, rules[i].filter.all) {
			x.others = append(x.others, i)
		}
	}
	return x
}

// add files a rule under the first of its filters it can, and reports whether there
// was one.
func (x *index) add(rule int, filters []mesh.Filter) bool {
	for j := range filters {
		if filters[j].Op != mesh.Exact {
			continue
		}
		if values := x.of(filters[j].Attr); values != nil {
			values[filters[j].Value] = append(values[filters[j].Value], rule)
			return true
		}
	}
	return false
}

// of returns the rules by value of an attribute. It returns nil when the index has its
// maximum of attributes.
func (x *index) of(attribute string) map[string][]int {
	for i := range x.attributes {
		if x.attributes[i].name == attribute {
			return x.attributes[i].values
		}
	}
	if len(x.attributes) == maxIndexed {
		return nil
	}
	values := map[string][]int{}
	x.attributes = append(x.attributes, attributeIndex{attribute, values})
	return values
}

// first returns the first of the rules that matches e, or len(rules).
func (x *index) first(rules []Rule, e *event.Event) int {
	best := firstOf(x.others, len(rules), rules, e)
	for i := range x.attributes {
		if v, ok := e.Lookup(x.attributes[i].name); ok {
			best = firstOf(x.attributes[i].values[v.String()], best, rules, e)
		}
	}
	return best
}

// firstOf returns the first of the candidates before limit that matches, or limit.
func firstOf(candidates []int, limit int, rules []Rule, e *event.Event) int {
	for _, i := range candidates {
		if i >= limit {
			break
		}
		if rules[i].filter.Matches(e) {
			return i
		}
	}
	return limit
}
