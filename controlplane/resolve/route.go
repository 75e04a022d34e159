package resolve

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/controlplane/declare"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
)

// declaredRoute is a route and where it stands.
type declaredRoute struct {
	object *declare.Object
	route  *v1alpha1.EventRoute
}

// routes compiles the rules of every topic: those of its routes, oldest first,
// then the topic itself.
func (r *resolver) routes() {
	for _, d := range r.routesInOrder() {
		for i, ref := range d.route.Spec.ParentRefs {
			path := v1alpha1.Path("spec").Child("parentRefs").Index(i)
			parent, found := r.reference(d.object, path, v1alpha1.KindEventTopic, ref.Namespace, ref.Name)
			if !found {
				continue
			}
			topic := r.result.Config.Topics[parent]
			topic.Rules = append(topic.Rules, r.rules(d, parent)...)
			r.concern(d.object.Name(), xds.TypeRoute, xds.TopicResource(parent))
		}
		r.danglingBackends(d)
	}
	for name, topic := range r.result.Config.Topics {
		topic.Rules = append(topic.Rules, mesh.Rule{Backends: r.itself(name), Retry: defaultRetry()})
	}
	r.concernBackends()
}

func (r *resolver) routesInOrder() []declaredRoute {
	var out []declaredRoute
	each(r, func(o *declare.Object, route *v1alpha1.EventRoute) {
		out = append(out, declaredRoute{o, route})
	})
	slices.SortStableFunc(out, func(a, b declaredRoute) int {
		return cmp.Or(
			a.route.CreationTimestamp.Compare(b.route.CreationTimestamp.Time),
			cmp.Compare(a.route.Namespace, b.route.Namespace),
			cmp.Compare(a.route.Name, b.route.Name),
		)
	})
	return out
}

// rules compiles a route's rules for one of its parents.
func (r *resolver) rules(d declaredRoute, parent mesh.Name) []mesh.Rule {
	var out []mesh.Rule
	for i := range d.route.Spec.Rules {
		rule := &d.route.Spec.Rules[i]
		out = append(out, mesh.Rule{
			Name:     d.route.Name + "/" + rule.Name,
			Filters:  filters(rule.Filters),
			Backends: r.backends(rule.BackendRefs, parent),
			Timeout:  duration(rule.Timeout),
			Retry:    retry(rule.Retry),
		})
	}
	return out
}

func (r *resolver) backends(refs []v1alpha1.BackendRef, parent mesh.Name) []mesh.Backend {
	if len(refs) == 0 {
		return r.itself(parent)
	}
	var out []mesh.Backend
	for _, ref := range refs {
		if d, ok := r.destinations[mesh.Name{Namespace: ref.Namespace, Name: ref.Name}]; ok {
			out = append(out, mesh.Backend{Destination: d, Weight: countOf(ref.Weight)})
		}
	}
	return out
}

// itself is the topic as its own only backend; none while its broker is missing.
func (r *resolver) itself(topic mesh.Name) []mesh.Backend {
	d, ok := r.destinations[topic]
	if !ok {
		return nil
	}
	return []mesh.Backend{{Destination: d, Weight: 1}}
}

// danglingBackends checks each backend once, however many parents there are.
func (r *resolver) danglingBackends(d declaredRoute) {
	for i := range d.route.Spec.Rules {
		path := v1alpha1.Path("spec").Child("rules").Index(i).Child("backendRefs")
		for j, ref := range d.route.Spec.Rules[i].BackendRefs {
			r.reference(d.object, path.Index(j), v1alpha1.KindEventTopic, ref.Namespace, ref.Name)
		}
	}
}

// concernBackends notes that a topic is part of the routes of every topic that
// sends events to it.
func (r *resolver) concernBackends() {
	topics := r.result.Config.Topics
	byName := func(a, b mesh.Name) int { return cmp.Compare(a.String(), b.String()) }
	for _, parent := range slices.SortedFunc(maps.Keys(topics), byName) {
		seen := map[mesh.Name]bool{parent: true}
		for _, rule := range topics[parent].Rules {
			for _, b := range rule.Backends {
				if to := b.Destination.Topic; !seen[to] {
					seen[to] = true
					r.concern(objectName(v1alpha1.KindEventTopic, to), xds.TypeRoute, xds.TopicResource(parent))
				}
			}
		}
	}
}

// defaultRetry is the policy of a rule that declares none.
func defaultRetry() mesh.Retry {
	policy := &v1alpha1.RouteRetry{}
	v1alpha1.DefaultRetry(policy)
	return retry(policy)
}

func retry(r *v1alpha1.RouteRetry) mesh.Retry {
	out := mesh.Retry{
		Attempts:      countOf(r.Attempts),
		PerTryTimeout: duration(r.PerTryTimeout),
		Backoff:       backoff(r.Backoff),
	}
	for _, name := range r.On {
		if on, err := mesh.ParseRetryOn(name); err == nil { // Validate reports the error
			out.On = append(out.On, on)
		}
	}
	return out
}

func backoff(b *v1alpha1.Backoff) mesh.Backoff {
	return mesh.Backoff{Base: duration(b.BaseInterval), Max: duration(b.MaxInterval)}
}

// place is " (file:line)", or nothing for an object that is in no file.
func place(o *declare.Object) string {
	if o.File == "" {
		return ""
	}
	return fmt.Sprintf(" (%s:%d)", o.File, o.Line)
}
