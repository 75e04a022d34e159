package metrics

import (
	"cmp"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/warrenmesh/warren/internal/grow"
	"github.com/warrenmesh/warren/mesh"
)

// Bounds of publishers' names, which are free text.
const (
	maxPublishers     = 64 // of one subscription; the others share a flow without a name
	maxPublisherBytes = 128
)

// flows are the deliveries of one subscription by publisher.
type flows struct {
	named grow.Map[string, *flow]
	rest  flow // of those without a name, or one too many
}

// flow counts deliveries.
type flow struct{ delivered, failed, retried, deadLettered, taken atomic.Int64 }

func (f *flows) of(publisher string) *flow {
	if publisher == "" {
		return &f.rest
	}
	if found, ok := f.named.Get(publisher); ok {
		return found
	}
	if len(f.named.All()) >= maxPublishers || len(publisher) > maxPublisherBytes ||
		strings.ContainsFunc(publisher, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return &f.rest
	}
	return f.named.Add(strings.Clone(publisher), func() *flow { return new(flow) })
}

// Totals are counts since the start.
type Totals struct {
	Published []Published // by topic
	Delivered []Delivered // by subscription, topic and publisher
}

// Published counts the events that went to one topic.
type Published struct {
	Topic                      mesh.Name
	Confirmed, Failed, Retried uint64
}

// Delivered counts the deliveries of one subscription from one publisher.
type Delivered struct {
	Subscription, Topic mesh.Name
	Publisher           string // "" when it is not known

	Delivered, Failed, Retried, DeadLettered, TakenByPolicy uint64
}

// Totals returns all counts, in the order of names. It takes no lock that an event takes.
func (e *Events) Totals() (out Totals) {
	if e == nil {
		return out
	}
	topics := map[mesh.Name]*Published{}
	for k, t := range e.topics.All() {
		p := topics[k.name]
		if p == nil {
			p = &Published{Topic: k.name}
			topics[k.name] = p
		}
		t.total(p)
	}
	for _, name := range mesh.Sorted(topics) {
		out.Published = append(out.Published, *topics[name])
	}
	sums := map[Delivered]*Delivered{} // by what has no counts yet
	for k, s := range e.subscriptions.All() {
		total := func(publisher string, f *flow) {
			key := Delivered{Subscription: k.name, Topic: k.topic, Publisher: publisher}
			if sums[key] == nil {
				sums[key] = &key
			}
			f.total(sums[key])
		}
		total("", &s.flows.rest)
		for publisher, f := range s.flows.named.All() {
			total(publisher, f)
		}
	}
	for _, d := range sums {
		if *d != (Delivered{Subscription: d.Subscription, Topic: d.Topic}) { // nothing without a name
			out.Delivered = append(out.Delivered, *d)
		}
	}
	slices.SortFunc(out.Delivered, func(a, b Delivered) int {
		return cmp.Or(a.Subscription.Compare(b.Subscription), a.Topic.Compare(b.Topic), cmp.Compare(a.Publisher, b.Publisher))
	})
	return out
}

func (t *topic) total(p *Published) {
	add := func(d *destination) {
		for errorType, s := range d.operation.byType.All() {
			if errorType == "" {
				p.Confirmed += count(&s.n)
			} else {
				p.Failed += count(&s.n)
			}
		}
	}
	add(t.none)
	for _, d := range t.nodes.All() {
		add(d)
	}
	for _, s := range t.retries.byType.All() {
		p.Retried += count(&s.n)
	}
}

func (f *flow) total(d *Delivered) {
	d.Delivered += count(&f.delivered)
	d.Failed += count(&f.failed)
	d.Retried += count(&f.retried)
	d.DeadLettered += count(&f.deadLettered)
	d.TakenByPolicy += count(&f.taken)
}

func count(n *atomic.Int64) uint64 { return uint64(n.Load()) } //nolint:gosec // it only grows
