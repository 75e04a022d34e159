package client

import (
	"maps"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// wildcard subscribes to whatever the control plane has for this node.
const wildcard = "*"

// needs are the names to be subscribed to, by type URL.
type needs map[string]map[string]struct{}

func (n needs) add(typeURL, name string) { n[typeURL][name] = struct{}{} }

func (n needs) has(typeURL, name string) bool {
	_, ok := n[typeURL][name]
	return ok
}

// cover adds the resources that forms were made of. Subscriptions are left out,
// because they come by the wildcard.
func (n needs) cover(f *forms) {
	for _, e := range f.entries() {
		if !isSubscription(e.typeURL, e.name) {
			n.add(e.typeURL, e.name)
		}
	}
}

// A form is one complete object and the entries it was made of.
type (
	topicForm struct {
		listener, route *entry
		topic           *mesh.Topic
	}
	subscriptionForm struct {
		listener     *entry
		subscription *mesh.Subscription
	}
	brokerForm struct {
		cluster, endpoints *entry // endpoints is nil for a broker without a network
		broker             *mesh.Broker
	}
)

func (f brokerForm) made() made { return made{f.cluster, f.endpoints} }

// forms is a consistent whole: every broker that a topic or subscription names is
// in it. It is immutable once assembled.
type forms struct {
	topics        map[mesh.Name]topicForm
	subscriptions map[mesh.Name]subscriptionForm
	brokers       map[string]brokerForm // by name of the cluster
}

func newForms(topics int) *forms {
	return &forms{
		topics:        make(map[mesh.Name]topicForm, topics),
		subscriptions: map[mesh.Name]subscriptionForm{},
		brokers:       map[string]brokerForm{},
	}
}

func (f *forms) equal(g *forms) bool {
	return maps.Equal(f.topics, g.topics) &&
		maps.Equal(f.subscriptions, g.subscriptions) &&
		maps.Equal(f.brokers, g.brokers)
}

// without returns the forms less the topics that drop names, and less the brokers
// that only those used.
func (f *forms) without(drop func(topicForm) bool) *forms {
	g := newForms(len(f.topics))
	use := func(clusters []string) {
		for _, c := range clusters {
			g.brokers[c] = f.brokers[c]
		}
	}
	for name, t := range f.topics {
		if !drop(t) {
			g.topics[name] = t
			use(t.route.clusters)
		}
	}
	for name, s := range f.subscriptions {
		g.subscriptions[name] = s
		use(s.listener.clusters)
	}
	return g
}

// config returns the forms as the configuration that the data plane runs on.
func (f *forms) config() *mesh.Config {
	c := &mesh.Config{
		Topics:        make(map[mesh.Name]*mesh.Topic, len(f.topics)),
		Subscriptions: make(map[mesh.Name]*mesh.Subscription, len(f.subscriptions)),
		Brokers:       make(map[mesh.Name]*mesh.Broker, len(f.brokers)),
	}
	for name, t := range f.topics {
		c.Topics[name] = t.topic
	}
	for name, s := range f.subscriptions {
		c.Subscriptions[name] = s.subscription
	}
	for _, b := range f.brokers {
		c.Brokers[b.broker.Name] = b.broker
	}
	return c
}

// entries returns what the forms were made of.
func (f *forms) entries() []*entry {
	var es []*entry
	for _, t := range f.topics {
		es = append(es, t.listener, t.route)
	}
	for _, s := range f.subscriptions {
		es = append(es, s.listener)
	}
	for _, b := range f.brokers {
		es = append(es, b.cluster)
		if b.endpoints != nil {
			es = append(es, b.endpoints)
		}
	}
	return es
}

// assembler makes the next forms of a table. It changes neither the table nor the old
// forms.
type assembler struct {
	table table
	old   *forms
	next  *forms
	needs needs
	tried map[string]brokerForm // every broker looked at; the zero form is an incomplete one
	// a barred form was refused as a whole and counts as incomplete.
	barred barred
}

// assemble returns the newest complete form of everything wanted, an old form
// where the newest is not complete, and the names that follow from both.
func assemble(t table, wanted map[mesh.Name]*want, old *forms, no barred) (*forms, needs) {
	a := &assembler{table: t, old: old, next: newForms(len(wanted)), needs: needs{}, tried: map[string]brokerForm{}, barred: no}
	for typeURL, rows := range t {
		a.needs[typeURL] = make(map[string]struct{}, len(rows))
	}
	a.needs.add(xds.TypeListener, wildcard)
	for name := range wanted {
		a.topic(name)
	}
	for _, r := range t[xds.TypeListener] {
		if s, ok := decodedAs[*wire.Subscription](r.accepted); ok {
			a.subscription(r.accepted, s)
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
		a.needs.add(xds.TypeRoute, form.route.name)
		a.use(form.route.clusters)
	}
}

// newTopic returns the newest form of a topic, false while it is not complete, and
// asks for the resources it needs.
func (a *assembler) newTopic(name mesh.Name) (topicForm, bool) {
	resource := xds.TopicResource(name)
	a.needs.add(xds.TypeListener, resource)
	listener := a.table.accepted(xds.TypeListener, resource)
	l, ok := decodedAs[*wire.TopicListener](listener)
	if !ok {
		return topicForm{}, false
	}
	a.needs.add(xds.TypeRoute, l.RouteConfig)
	route := a.table.accepted(xds.TypeRoute, l.RouteConfig)
	r, ok := decodedAs[*wire.Routes](route)
	if !ok || !a.complete(route.clusters) {
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
func (a *assembler) subscription(listener *entry, s *wire.Subscription) {
	name := s.Name
	best := a.old.subscriptions[name]
	if a.complete(listener.clusters) && best.listener != listener {
		best = subscriptionForm{listener: listener, subscription: &s.Subscription}
	}
	if best.subscription != nil {
		a.next.subscriptions[name] = best
		a.use(best.listener.clusters)
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
		a.needs.add(xds.TypeEndpoint, f.endpoints.name)
	}
	a.tried[name] = f
	return f
}

// newBroker returns the newest form of a broker, false while it is not complete, and
// asks for the resources it needs. A networked broker without a node is not complete:
// no publish to it could succeed.
func (a *assembler) newBroker(name string) (brokerForm, bool) {
	a.needs.add(xds.TypeCluster, name)
	f := brokerForm{cluster: a.table.accepted(xds.TypeCluster, name)}
	c, ok := decodedAs[*wire.Cluster](f.cluster)
	if !ok {
		return brokerForm{}, false
	}
	b := c.Broker
	if b.Type.Capabilities().Networked {
		a.needs.add(xds.TypeEndpoint, c.EndpointName)
		f.endpoints = a.table.accepted(xds.TypeEndpoint, c.EndpointName)
		e, ok := decodedAs[*wire.Endpoints](f.endpoints)
		if !ok || len(e.Nodes) == 0 {
			return brokerForm{}, false
		}
		b.Nodes = e.Nodes
	}
	if old := a.old.brokers[name]; f.cluster == old.cluster && f.endpoints == old.endpoints {
		return old, true
	}
	f.broker = &b
	return f, !a.barred.has(f.made())
}

// decodedAs returns what an entry was understood as; false for nil and for
// another kind.
func decodedAs[T wire.Decoded](e *entry) (T, bool) {
	if e == nil {
		var zero T
		return zero, false
	}
	d, ok := e.decoded.(T)
	return d, ok
}
