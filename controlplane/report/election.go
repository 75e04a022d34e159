package report

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	reportv1 "github.com/warrenmesh/warren/api/report/v1"
	"github.com/warrenmesh/warren/api/v1alpha1"
	"github.com/warrenmesh/warren/mesh"
)

// Mesh is what is in force.
type Mesh struct {
	Brokers       []mesh.Name
	Topics        []mesh.Name
	Subscriptions []*mesh.Subscription
}

// declared is what reports may be about.
type declared struct {
	brokers, topics map[string]struct{}
	subscriptions   map[string]*depth
	queues          map[string]struct{} // of all brokers
}

// object returns the name of a declared object.
func (d *declared) object(kind, name string) (v1alpha1.ObjectName, bool) {
	ok := false
	switch kind {
	case v1alpha1.KindEventTopic:
		_, ok = d.topics[name]
	case v1alpha1.KindEventSubscription:
		_, ok = d.subscriptions[name]
	}
	n, err := mesh.ParseName(name, "")
	return v1alpha1.ObjectName{Kind: kind, Namespace: n.Namespace, Name: n.Name}, ok && err == nil
}

// role is what a queue is to a subscription.
type role int

const (
	holds role = iota // what is to be handed out
	waits             // what waits for another attempt
	dead
	members // nothing: its consumers are the receivers
)

// depth is the queues of a subscription.
type depth struct {
	name    string
	ordered bool
	queues  []*queue
	roles   []role // of the queues
}

// queue is what a broker said of a queue.
type queue struct {
	messages  uint64
	consumers uint32
	missing   bool
	err       string
	at        time.Time // zero: never
	of        []*depth
}

// Configure makes m what reports may be about. What was measured of queues that stay is
// kept.
func (s *Store) Configure(m *Mesh) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.brokers
	s.brokers, s.troubled, s.unbacked = make(map[string]*brokerView, len(m.Brokers)), map[v1alpha1.ObjectName]map[*reporter]refusal{}, map[string]int{}
	s.declared = declared{
		brokers: names(m.Brokers), topics: names(m.Topics),
		subscriptions: make(map[string]*depth, len(m.Subscriptions)), queues: map[string]struct{}{},
	}
	for name := range s.declared.brokers {
		b := &brokerView{nodes: map[string]*nodeView{}, holders: map[*reporter]struct{}{}, queues: map[string]*queue{}}
		if old := was[name]; old != nil {
			b.measurer = old.measurer
		}
		s.brokers[name] = b
	}
	for _, sub := range m.Subscriptions {
		s.measure(sub, was[sub.Broker.String()])
	}
	for _, b := range s.brokers {
		if b.measurer != nil {
			b.measurer.untold = true
		}
	}
	for name, b := range was {
		if b.measurer != nil && s.brokers[name] == nil {
			delete(b.measurer.measures, name)
			b.measurer.untold = true
		}
	}
	for _, r := range s.streams {
		if r.held {
			s.hold(r, r.state)
		}
	}
	s.settle()
}

func names(all []mesh.Name) map[string]struct{} {
	out := make(map[string]struct{}, len(all))
	for _, n := range all {
		out[n.String()] = struct{}{}
	}
	return out
}

// measure puts the queues of a subscription among those of its broker. mu is held.
func (s *Store) measure(sub *mesh.Subscription, old *brokerView) {
	d := &depth{name: sub.Name.String(), ordered: sub.Ordering == mesh.PerKey}
	s.declared.subscriptions[d.name] = d
	b := s.brokers[sub.Broker.String()]
	if b == nil {
		return
	}
	add := func(name string, is role) {
		s.declared.queues[name] = struct{}{}
		q := b.queues[name]
		if q == nil {
			if len(b.queues) >= s.limits.Queues {
				b.leftOut++
				return
			}
			q = &queue{}
			if old != nil && old.queues[name] != nil {
				*q = *old.queues[name]
				q.of = nil
			}
			b.queues[name] = q
		}
		q.of = append(q.of, d)
		d.queues, d.roles = append(d.queues, q), append(d.roles, is)
	}
	if d.ordered {
		for i := range max(sub.Partitions.Count, 1) {
			add(sub.Queue.Partition(i), holds)
		}
		add(sub.Queue.Members(), members)
	} else {
		add(sub.Queue.Name, holds)
	}
	for _, delay := range sub.Delays() {
		add(sub.Queue.Delay(delay), waits)
	}
	add(sub.DeadLetterQueue, dead)
}

// elect sees to it that each broker with queues is measured by one sidecar that is
// connected to it. The one that measures stays as long as it can. mu is held.
func (s *Store) elect() {
	for name, b := range s.brokers {
		if _, fit := b.holders[b.measurer]; fit && len(b.queues) > 0 {
			continue
		}
		if b.measurer != nil {
			delete(b.measurer.measures, name)
			b.measurer.untold = true
			b.measurer = nil
		}
		if len(b.holders) == 0 || len(b.queues) == 0 {
			continue
		}
		b.measurer = slices.MinFunc(slices.Collect(maps.Keys(b.holders)), func(a, b *reporter) int {
			return cmp.Or(cmp.Compare(a.identity.node, b.identity.node), cmp.Compare(a.identity.instance, b.identity.instance))
		})
		if b.measurer.measures == nil {
			b.measurer.measures = map[string]bool{}
		}
		b.measurer.measures[name] = true
		b.measurer.untold = true
	}
}

// assignment is what a sidecar has to measure. mu is held.
func (s *Store) assignment(r *reporter) *reportv1.Assignment {
	out := &reportv1.Assignment{}
	for _, name := range slices.Sorted(maps.Keys(r.measures)) {
		if b := s.brokers[name]; b != nil && b.measurer == r {
			out.Brokers = append(out.Brokers, &reportv1.BrokerQueues{Broker: name, Queues: slices.Sorted(maps.Keys(b.queues))})
		}
	}
	return out
}

// measured takes what the measurer of a broker says of its queues; nobody else is
// listened to. mu is held.
func (s *Store) measured(r *reporter, all []*reportv1.Measured, now time.Time) {
	touched := map[*depth]struct{}{}
	for _, m := range all {
		b := s.brokers[m.GetBroker()]
		if b == nil || b.measurer != r || b.queues[m.GetQueue()] == nil {
			s.losses.entries++
			continue
		}
		q := b.queues[m.GetQueue()]
		q.err, q.at = text(m.GetError()), now
		q.messages, q.consumers, q.missing = m.GetMessages(), m.GetConsumers(), m.GetMissing()
		for _, d := range q.of {
			touched[d] = struct{}{}
		}
	}
	step := stepOf(now)
	for d := range touched {
		if f := d.sum(); f.whole {
			series := s.shelf.take(key{depth: true, subscription: d.name}, step)
			s.shelf.add(series, step, counts{}) // it is in use
			*series.at(step) = counts{plusOne(f.backlog), plusOne(f.retrying), plusOne(f.dead), plusOne(uint64(f.receivers))}
		}
	}
}

func plusOne(n uint64) uint32 { return uint32(min(n, math.MaxUint32-1) + 1) } //nolint:gosec // bounded

// figures are the queues of a subscription in numbers.
type figures struct {
	backlog, retrying, dead uint64
	receivers               uint32
	oldest                  time.Time         // when the oldest of them was measured
	err                     string            // why some are missing
	unknown                 [members + 1]bool // by role: the broker did not say
	asked                   bool              // every queue was asked for
	whole                   bool              // and the broker said what each has
}

// sum adds the queues up. A queue that only some topologies have, for events that wait or
// for counting members, has nothing when it is missing.
func (d *depth) sum() (out figures) {
	out.asked = len(d.queues) > 0
	for i, q := range d.queues {
		is := d.roles[i]
		switch {
		case q.at.IsZero():
			out.asked = false
			continue
		case q.missing && (is == waits || is == members):
		case q.err != "":
			out.err, out.unknown[is] = cmp.Or(out.err, q.err), true
			if !d.ordered && is == holds {
				out.unknown[members] = true
			}
			continue
		}
		if out.oldest.IsZero() || q.at.Before(out.oldest) {
			out.oldest = q.at
		}
		switch is {
		case holds:
			out.backlog += q.messages
			if !d.ordered {
				out.receivers += q.consumers
			}
		case waits:
			out.retrying += q.messages
		case dead:
			out.dead += q.messages
		case members:
			out.receivers += q.consumers
		}
	}
	out.whole = out.asked && out.err == ""
	return out
}
