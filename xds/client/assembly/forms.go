package assembly

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/xds/client/resource"
)

// A form is one complete object and the entries it was made of.
type (
	topicForm struct {
		listener, route *resource.Entry
		topic           *mesh.Topic
	}
	subscriptionForm struct {
		listener     *resource.Entry
		subscription *mesh.Subscription
	}
	brokerForm struct {
		cluster, endpoints *resource.Entry // endpoints is nil for a broker without a network
		broker             *mesh.Broker
	}
)

func (f brokerForm) made() Made { return Made{f.cluster, f.endpoints} }

// Forms is a consistent whole: every broker that a topic or subscription names is
// in it. It is immutable once assembled.
type Forms struct {
	topics        map[mesh.Name]topicForm
	subscriptions map[mesh.Name]subscriptionForm
	brokers       map[string]brokerForm // by name of the cluster
}

// New returns no forms, with room for so many topics.
func New(topics int) *Forms {
	return &Forms{
		topics:        make(map[mesh.Name]topicForm, topics),
		subscriptions: map[mesh.Name]subscriptionForm{},
		brokers:       map[string]brokerForm{},
	}
}

// Equal reports whether both were made of the same entries.
func (f *Forms) Equal(g *Forms) bool {
	return maps.Equal(f.topics, g.topics) &&
		maps.Equal(f.subscriptions, g.subscriptions) &&
		maps.Equal(f.brokers, g.brokers)
}

// Without returns the forms less the topics of whose listener drop is true, and less the
// brokers that only those used.
func (f *Forms) Without(drop func(listener *resource.Entry) bool) *Forms {
	g := New(len(f.topics))
	use := func(clusters []string) {
		for _, c := range clusters {
			g.brokers[c] = f.brokers[c]
		}
	}
	for name, t := range f.topics {
		if !drop(t.listener) {
			g.topics[name] = t
			use(t.route.Clusters)
		}
	}
	for name, s := range f.subscriptions {
		g.subscriptions[name] = s
		use(s.listener.Clusters)
	}
	return g
}

// Config returns the forms as the configuration that the data plane runs on.
func (f *Forms) Config() *mesh.Config {
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

// Entries returns what the forms were made of.
func (f *Forms) Entries() []*resource.Entry {
	var es []*resource.Entry
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

// Has reports whether a topic is among the forms.
func (f *Forms) Has(topic mesh.Name) bool {
	_, ok := f.topics[topic]
	return ok
}

// Topics returns the names of the topics, in no order.
func (f *Forms) Topics() iter.Seq[mesh.Name] { return maps.Keys(f.topics) }

// Made returns what the broker of a cluster was made of, nothing when there is none.
func (f *Forms) Made(cluster string) Made { return f.brokers[cluster].made() }

// Cover adds to needs the resources that the forms were made of. Subscriptions are left out,
// because they come by the wildcard.
func (f *Forms) Cover(needs resource.Needs) {
	for _, e := range f.Entries() {
		if !resource.IsSubscription(e.TypeURL, e.Name) {
			needs.Add(e.TypeURL, e.Name)
		}
	}
}

func byTypeAndName(a, b *resource.Entry) int {
	return cmp.Or(cmp.Compare(a.TypeURL, b.TypeURL), cmp.Compare(a.Name, b.Name))
}

// Version is a hash over the versions of entries, which it sorts by type and name. Equal
// versions mean equal entries, also across restarts.
func Version(es []*resource.Entry) string {
	slices.SortFunc(es, byTypeAndName)
	h := xxhash.New()
	for _, e := range es {
		for _, s := range []string{e.TypeURL, e.Name, e.Version} {
			_, _ = h.WriteString(s) // a hash never fails
			_, _ = h.Write([]byte{0})
		}
	}
	return strconv.FormatUint(h.Sum64(), 16)
}
