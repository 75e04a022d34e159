package queueing

import (
	"context"
	"slices"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// maxTopics bounds the exchanges of a broker whose topics are remembered.
const maxTopics = 10_000

// topology is what o needs.
func topology(o broker.Object) Topology {
	if o.Subscription != nil {
		return Layout(o.Subscription, o.Policy)
	}
	return Topology{Policy: o.Policy, Exchanges: []mesh.Exchange{o.Topic.Exchange}}
}

// Same implements broker.Declarer.
func (n *Node) Same(a, b broker.Object) bool { return equal(topology(a), topology(b)) }

// Ensure implements broker.Declarer.
func (n *Node) Ensure(ctx context.Context, o broker.Object) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.name(o)
	t := topology(o)
	if err := n.on.EnsureTopology(ctx, t); err != nil {
		return err
	}
	if !slices.ContainsFunc(n.made, func(m Topology) bool { return equal(m, t) }) {
		n.made = append(n.made, t)
	}
	return nil
}

// name remembers the topic of an exchange, for good: its events may still be in queues
// when it is no part of the configuration any more. Two topics may share an exchange; the
// first by name is named each time.
func (n *Node) name(o broker.Object) {
	exchange, topic := "", mesh.Name{}
	if s := o.Subscription; s != nil {
		exchange, topic = s.Exchange.Name, s.Topic
	} else {
		exchange, topic = o.Topic.Exchange.Name, o.Topic.Topic
	}
	name := topic.String()
	had, known := n.topics.Load(exchange)
	if before, _ := had.(string); known && before <= name || !known && n.named >= maxTopics {
		return
	}
	if !known {
		n.named++
	}
	n.topics.Store(exchange, name)
}

// Keep implements broker.Declarer.
func (n *Node) Keep(ctx context.Context, objects []broker.Object) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	wanted := make([]Topology, 0, len(objects))
	for _, o := range objects {
		wanted = append(wanted, topology(o))
	}
	var kept, gone []Topology
	for _, m := range n.made {
		if slices.ContainsFunc(wanted, func(w Topology) bool { return equal(m, w) }) {
			kept = append(kept, m)
		} else {
			gone = append(gone, m)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	if t := orphans(gone, wanted); len(t.Exchanges)+len(t.Queues) > 0 {
		if err := n.on.EnsureTopology(ctx, t); err != nil {
			return err
		}
	}
	if t := moved(gone, kept); len(t.Gone)+len(t.GonePartitioners) > 0 {
		if err := n.on.EnsureTopology(ctx, t); err != nil {
			return err
		}
	}
	n.made = kept
	return nil
}

// orphans returns what only gone names, under Ignore, by which a driver forgets it.
func orphans(gone, wanted []Topology) Topology {
	out := Topology{Policy: mesh.Ignore}
	exchanges, queues := map[string]bool{}, map[string]bool{}
	for _, t := range wanted {
		for _, x := range t.Exchanges {
			exchanges[x.Name] = true
		}
		for _, q := range t.Queues {
			queues[q.Name] = true
		}
	}
	for _, t := range gone {
		for _, x := range t.Exchanges {
			if !exchanges[x.Name] {
				exchanges[x.Name] = true
				out.Exchanges = append(out.Exchanges, x)
			}
		}
		for _, q := range t.Queues {
			if !queues[q.Name] {
				queues[q.Name] = true
				out.Queues = append(out.Queues, q)
			}
		}
	}
	return out
}

// moved returns what led to queues and partitioners that kept has, too, and is not part of
// it any more.
func moved(gone, kept []Topology) Topology {
	out := Topology{Policy: mesh.Manage}
	queues, bindings := map[string]bool{}, map[Binding]bool{}
	partitioners, sources := map[string]bool{}, map[[2]string]bool{}
	for _, t := range kept {
		if t.Policy != mesh.Manage {
			continue
		}
		for _, b := range t.Bindings {
			queues[b.Queue], bindings[b] = true, true
		}
		for _, p := range t.Partitioners {
			partitioners[p.Name], sources[[2]string{p.Name, p.Exchange}] = true, true
		}
	}
	for _, t := range gone {
		if t.Policy != mesh.Manage {
			continue
		}
		for _, b := range t.Bindings {
			if queues[b.Queue] && !bindings[b] {
				out.Gone = append(out.Gone, b)
			}
		}
		for _, p := range t.Partitioners {
			if partitioners[p.Name] && !sources[[2]string{p.Name, p.Exchange}] {
				out.GonePartitioners = append(out.GonePartitioners, p)
			}
		}
	}
	return out
}

// equal reports whether two topologies declare the same.
func equal(a, b Topology) bool {
	return a.Policy == b.Policy &&
		slices.Equal(a.Exchanges, b.Exchanges) &&
		slices.Equal(a.Queues, b.Queues) &&
		slices.Equal(a.Bindings, b.Bindings) &&
		slices.EqualFunc(a.Partitioners, b.Partitioners, func(x, y Partitioner) bool {
			return x.Name == y.Name && x.Exchange == y.Exchange && slices.Equal(x.Queues, y.Queues)
		})
}
