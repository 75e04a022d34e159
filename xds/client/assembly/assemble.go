package assembly

import (
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/client/resource"
	"github.com/warrenmesh/warren/xds/wire"
)

// assembler makes the next forms of a table. It changes neither the table nor the old
// forms.
type assembler struct {
	table resource.Table
	old   *Forms
	next  *Forms
	needs resource.Needs
	tried map[string]brokerForm // every broker looked at; the zero form is an incomplete one
	// a barred form was refused as a whole and counts as incomplete.
	barred Barred
}

// Next returns the newest complete form of everything wanted, an old form where the newest
// is not complete or is barred, and the names that follow from both. It changes nothing.
func Next[W any](t resource.Table, wanted map[mesh.Name]W, old *Forms, no Barred) (*Forms, resource.Needs) {
	a := &assembler{table: t, old: old, next: New(len(wanted)), needs: resource.Needs{}, tried: map[string]brokerForm{}, barred: no}
	for typeURL, rows := range t {
		a.needs[typeURL] = make(map[string]struct{}, len(rows))
	}
	a.needs.Add(xds.TypeListener, resource.Wildcard)
	for name := range wanted {
		a.topic(name)
	}
	for _, r := range t[xds.TypeListener] {
		if s, ok := resource.As[*wire.Subscription](r.Accepted); ok {
			a.subscription(r.Accepted, s)
		}
	}
	return a.next, a.needs
}

// topic adds the best form of a topic: the newest if it is complete, otherwise the one
// in force.
func (a *assembler) topic(name mesh.Name) {
	form, ok := a.newTopic(name)
	if !ok {
		form = a.old.topics[name]
	}
	if form.topic != nil {
		a.next.topics[name] = form
		a.needs.Add(xds.TypeRoute, form.route.Name)
		a.use(form.route.Clusters)
	}
}

// newTopic returns the newest form of a topic, false while it is not complete, and
// asks for the resources it needs.
func (a *assembler) newTopic(name mesh.Name) (topicForm, bool) {
	listens := xds.TopicResource(name)
	a.needs.Add(xds.TypeListener, listens)
	listener := a.table.Accepted(xds.TypeListener, listens)
	l, ok := resource.As[*wire.TopicListener](listener)
	if !ok {
		return topicForm{}, false
	}
	a.needs.Add(xds.TypeRoute, l.RouteConfig)
	route := a.table.Accepted(xds.TypeRoute, l.RouteConfig)
	r, ok := resource.As[*wire.Routes](route)
	if !ok || !a.complete(route.Clusters) {
		return topicForm{}, false
	}
	old := a.old.topics[name]
	if route == old.route {
		return topicForm{listener: listener, route: route, topic: old.topic}, true
	}
	return topicForm{listener: listener, route: route, topic: &mesh.Topic{Name: name, Rules: r.Rules}}, true
}

// subscription adds the best form of a subscription: the newest if it is complete,
// otherwise the one in force.
func (a *assembler) subscription(listener *resource.Entry, s *wire.Subscription) {
	name := s.Name
	best := a.old.subscriptions[name]
	if a.complete(listener.Clusters) && best.listener != listener {
		best = subscriptionForm{listener: listener, subscription: &s.Subscription}
	}
	if best.subscription != nil {
		a.next.subscriptions[name] = best
		a.use(best.listener.Clusters)
	}
}

// complete asks for the clusters and reports whether all of them are complete.
func (a *assembler) complete(clusters []string) bool {
	all := true
	for _, c := range clusters {
		all = a.broker(c).broker != nil && all
	}
	return all
}

// use puts the brokers into the next forms. They are complete: a new form was
// checked just now, and an old form's brokers have at least their old form.
func (a *assembler) use(clusters []string) {
	for _, c := range clusters {
		a.next.brokers[c] = a.broker(c)
	}
}

// broker returns the best form of a broker: the newest if it is complete, else what
// is in force; the zero form when there is neither.
func (a *assembler) broker(name string) brokerForm {
	if f, ok := a.tried[name]; ok {
		return f
	}
	f, ok := a.newBroker(name)
	if !ok {
		f = a.old.brokers[name]
	}
	if f.endpoints != nil {
		a.needs.Add(xds.TypeEndpoint, f.endpoints.Name)
	}
	a.tried[name] = f
	return f
}

// newBroker returns the newest form of a broker, false while it is not complete, and
// asks for the resources it needs. A networked broker without a node is not complete:
// no publish to it could succeed.
func (a *assembler) newBroker(name string) (brokerForm, bool) {
	a.needs.Add(xds.TypeCluster, name)
	f := brokerForm{cluster: a.table.Accepted(xds.TypeCluster, name)}
	c, ok := resource.As[*wire.Cluster](f.cluster)
	if !ok {
		return brokerForm{}, false
	}
	b := c.Broker
	if b.Type.Capabilities().Networked {
		a.needs.Add(xds.TypeEndpoint, c.EndpointName)
		f.endpoints = a.table.Accepted(xds.TypeEndpoint, c.EndpointName)
		e, ok := resource.As[*wire.Endpoints](f.endpoints)
		if !ok || len(e.Nodes) == 0 {
			return brokerForm{}, false
		}
		b.Nodes = e.Nodes
	}
	if old := a.old.brokers[name]; f.cluster == old.cluster && f.endpoints == old.endpoints {
		return old, true
	}
	f.broker = &b
	return f, !a.barred.Has(f.made())
}
