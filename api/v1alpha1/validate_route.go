package v1alpha1

import (
	"maps"
	"slices"
	"strings"

	"github.com/warrenmesh/warren/mesh"
)

// maxFilterDepth bounds the nesting of filters, so that compiling and matching them may
// recurse.
const maxFilterDepth = 16

func (c *checker) route(r *EventRoute, p Path) {
	c.parents(r, p.Child("parentRefs"))
	rp := p.Child("rules")
	if len(r.Spec.Rules) == 0 {
		c.invalid(rp, "is empty: a route needs at least one rule; a rule without filters matches every event")
	}
	seen := map[string]int{}
	for i := range r.Spec.Rules {
		rule := &r.Spec.Rules[i]
		if first, dup := seen[rule.Name]; dup {
			c.invalid(rp.Index(i).Child("name"), "is %q, as that of rules[%d] is: names are unique within a route", rule.Name, first)
		} else {
			seen[rule.Name] = i
		}
		c.rule(rule, rp.Index(i))
	}
}

func (c *checker) parents(r *EventRoute, p Path) {
	if len(r.Spec.ParentRefs) == 0 {
		c.invalid(p, "is empty: name the topics the route belongs to, such as {kind: EventTopic, name: orders}")
	}
	seen := map[LocalRef]int{}
	for i, ref := range r.Spec.ParentRefs {
		c.ref(p.Index(i), ref, KindEventTopic)
		// The Gateway API has the same rule: its listeners admit routes of their own
		// namespace. No team can reroute the events of another.
		if ref.Namespace != namespaceOf(r) {
			c.invalid(p.Index(i).Child("namespace"), "is %q: a route belongs to topics of its own namespace %q", ref.Namespace, namespaceOf(r))
		}
		if first, dup := seen[ref]; dup {
			c.invalid(p.Index(i), "repeats parentRefs[%d]: name each topic once", first)
		} else {
			seen[ref] = i
		}
	}
}

func (c *checker) rule(r *RouteRule, p Path) {
	c.name(p.Child("name"), r.Name)
	c.filters(p.Child("filters"), r.Filters, 1)
	c.backends(p.Child("backendRefs"), r.BackendRefs)
	c.positive(p.Child("timeout"), r.Timeout)
	if r.Retry != nil {
		c.routeRetry(r, p.Child("retry"))
	}
	for _, later := range []struct {
		field string
		set   bool
	}{
		{"mirror", r.Mirror != nil}, {"transform", r.Transform != nil}, {"fault", r.Fault != nil}, {"rateLimit", r.RateLimit != nil},
	} {
		if later.set {
			c.unsupported(p.Child(later.field), later.field)
		}
	}
}

func (c *checker) backends(p Path, refs []BackendRef) {
	if refs != nil && len(refs) == 0 {
		c.invalid(p, "is an empty list: name a topic, or leave it out to keep events on the route's own topic")
	}
	type key struct{ namespace, name string }
	seen := map[key]int{}
	var sum int64
	for i, b := range refs {
		bp := p.Index(i)
		c.ref(bp, LocalRef{Kind: b.Kind, Namespace: b.Namespace, Name: b.Name}, KindEventTopic)
		if b.Weight != nil {
			c.between(bp.Child("weight"), int64(*b.Weight), 0, MaxWeight)
			sum += max(0, int64(*b.Weight))
		}
		if first, dup := seen[key{b.Namespace, b.Name}]; dup {
			c.invalid(bp.Child("name"), "is %q, as that of backendRefs[%d] is: name each topic once and add the weights", b.Name, first)
		} else {
			seen[key{b.Namespace, b.Name}] = i
		}
	}
	if len(refs) > 0 && sum == 0 {
		c.invalid(p, "has weights that sum to 0: at least one weight must be 1 or more")
	}
}

func (c *checker) routeRetry(rule *RouteRule, p Path) {
	r := rule.Retry
	c.attempts(p.Child("attempts"), r.Attempts)
	if r.On != nil && len(r.On) == 0 {
		c.invalid(p.Child("on"), "is an empty list: name failures to retry, or set attempts to 1 for no retries")
	}
	for i, on := range r.On {
		if _, err := mesh.ParseRetryOn(on); err != nil {
			c.oneOf(p.Child("on").Index(i), on, RetryConditions()...)
		} else if first := slices.Index(r.On, on); first < i {
			c.invalid(p.Child("on").Index(i), "repeats on[%d] %q: name each failure once", first, on)
		}
	}
	c.positive(p.Child("perTryTimeout"), r.PerTryTimeout)
	if t := r.PerTryTimeout; t != nil && rule.Timeout != nil && t.Duration > rule.Timeout.Duration {
		c.invalid(p.Child("perTryTimeout"), "is %s, longer than the rule's timeout of %s: one try cannot outlast all of them", t.Duration, rule.Timeout.Duration)
	}
	c.backoff(p.Child("backoff"), r.Backoff)
}

func (c *checker) filters(p Path, filters []Filter, depth int) {
	for i := range filters {
		c.filter(p.Index(i), &filters[i], depth)
	}
}

// filter checks one filter. It must have exactly one dialect, and that must not be
// empty.
func (c *checker) filter(p Path, f *Filter, depth int) {
	if depth > maxFilterDepth {
		c.invalid(p, "is nested deeper than %d filters: flatten it", maxFilterDepth)
		return
	}
	if f.CESQL != "" {
		c.unsupported(p.Child("cesql"), "the cesql dialect")
	}
	dialects := f.dialects()
	if len(dialects) != 1 {
		found := "none is"
		if len(dialects) > 1 {
			found = strings.Join(dialects, " and ") + " are"
		}
		c.invalid(p, "must have exactly one of exact, prefix, suffix, all, any, not, but %s set: combine filters with all or any", found)
	}
	c.attributes(p.Child("exact"), f.Exact)
	c.attributes(p.Child("prefix"), f.Prefix)
	c.attributes(p.Child("suffix"), f.Suffix)
	c.filterList(p.Child("all"), f.All, depth)
	c.filterList(p.Child("any"), f.Any, depth)
	if f.Not != nil {
		c.filter(p.Child("not"), f.Not, depth+1)
	}
}

// dialects names the dialects that are set, empty maps and lists included.
func (f *Filter) dialects() []string {
	var set []string
	for _, d := range []struct {
		name string
		set  bool
	}{
		{"exact", f.Exact != nil}, {"prefix", f.Prefix != nil}, {"suffix", f.Suffix != nil},
		{"all", f.All != nil}, {"any", f.Any != nil}, {"not", f.Not != nil}, {"cesql", f.CESQL != ""},
	} {
		if d.set {
			set = append(set, d.name)
		}
	}
	return set
}

func (c *checker) filterList(p Path, filters []Filter, depth int) {
	if filters != nil && len(filters) == 0 {
		c.invalid(p, "is an empty list: give it at least one filter")
	}
	c.filters(p, filters, depth+1)
}

func (c *checker) attributes(p Path, m map[string]string) {
	if m != nil && len(m) == 0 {
		c.invalid(p, "is empty: name at least one attribute, such as {type: com.shop.order.placed}")
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		c.attribute(p.Key(name), name)
		if m[name] == "" {
			c.invalid(p.Key(name), "is empty: give the text to compare with")
		}
	}
}

func (c *checker) attribute(p Path, name string) {
	if !validAttribute(name) {
		c.invalid(p, "%q is not the name of a CloudEvents attribute: use a-z and 0-9 only, and not \"data\"", name)
	}
}

func validAttribute(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && name != "data"
}
