package account

import (
	"strings"

	"github.com/warrenmesh/warren/examples/shop/journal"
)

// ledger is one service's journal as sets.
type ledger struct {
	published map[string]set // by flow
	confirmed set
	refused   set
	repeated  set
	causes    set            // ids of the events for which this service published a follow-up
	received  map[string]set // by subscription
	row       Row
}

// Settle compares the journals of one run, by service. An event belongs to the run when
// its id starts with run. Other events are left over from an earlier run on the same
// broker; they are counted and otherwise ignored. An empty run matches all events.
func Settle(flows []Flow, run string, journals map[string][]journal.Record) Books {
	ledgers := make(map[string]*ledger)
	books := Books{PerSubscription: make(map[string]int)}
	order := services(flows)
	for _, service := range order {
		ledgers[service] = read(service, run, journals[service])
	}
	for _, flow := range flows {
		books.settle(flow, ledgers)
	}
	for _, service := range order {
		l := ledgers[service]
		for subscription, ids := range l.received {
			books.PerSubscription[subscription] += len(ids)
			books.Delivered += len(ids)
		}
		books.Rows = append(books.Rows, l.row)
	}
	return books
}

// services lists every service of the flows once, publishers and receivers, in the
// order in which they are first named.
func services(flows []Flow) []string {
	var out []string
	seen := make(set)
	note := func(service string) {
		if !seen.has(service) {
			seen.add(service)
			out = append(out, service)
		}
	}
	for _, flow := range flows {
		note(flow.Publisher)
		for _, r := range flow.Receivers {
			note(r.Service)
		}
	}
	return out
}

func read(service, run string, records []journal.Record) *ledger {
	l := &ledger{
		published: make(map[string]set), confirmed: make(set), refused: make(set),
		repeated: make(set), causes: make(set), received: make(map[string]set),
		row: Row{Service: service},
	}
	seen := make(set)
	for _, r := range records {
		if !strings.HasPrefix(r.ID, run) {
			if r.What == journal.Delivered {
				l.row.Leftovers++
			}
			continue
		}
		switch r.What {
		case journal.Published:
			within(l.published, r.Topic).add(r.ID)
			if r.Cause != "" {
				l.causes.add(r.Cause)
			}
		case journal.Confirmed:
			l.confirmed.add(r.ID)
			if r.Attempt > 1 {
				l.repeated.add(r.ID)
			}
		case journal.Failed:
			l.refused.add(r.ID)
		case journal.Delivered:
			l.deliver(r, seen)
		}
	}
	l.row.Confirmed, l.row.Repeated, l.row.Received = len(l.confirmed), len(l.repeated), len(seen)
	return l
}

func (l *ledger) deliver(r journal.Record, seen set) {
	if seen.has(r.ID) {
		l.row.Duplicates++
	}
	if r.Redelivered || r.Attempt > 1 {
		l.row.Redelivered++
	}
	seen.add(r.ID)
	within(l.received, r.Subscription).add(r.ID)
}

// settle compares one flow's publisher with its receivers.
func (b *Books) settle(flow Flow, ledgers map[string]*ledger) {
	from := ledgers[flow.Publisher]
	published := within(from.published, flow.Name)
	from.row.Published += len(published)
	b.Published += len(published)
	b.Confirmed += len(published) - len(published.minus(from.confirmed))

	b.unconfirmed(flow, from)
	b.fault(Unknown, flow.Name, flow.Publisher, from.strangers())
	if flow.CausedBy != "" {
		b.fault(NotFollowed, flow.CausedBy, flow.Publisher, from.allReceived(nil).minus(from.causes))
	}
	for _, receiver := range flow.Receivers {
		to := ledgers[receiver.Service]
		received := to.allReceived(receiver.Subscriptions)
		missing := published.minus(received)
		to.row.Missing += len(missing)
		b.Lost += len(missing)
		b.fault(Missing, flow.Name, receiver.Service, missing)
		b.fault(Unknown, flow.Name, receiver.Service, received.minus(published))
	}
}

// unconfirmed records the events without a confirm. Those that the publisher gave up
// are a fault of their own.
func (b *Books) unconfirmed(flow Flow, from *ledger) {
	var waiting, refused []string
	for _, id := range within(from.published, flow.Name).minus(from.confirmed) {
		if from.refused.has(id) {
			refused = append(refused, id)
		} else {
			waiting = append(waiting, id)
		}
	}
	b.Lost += len(waiting) + len(refused)
	b.fault(Unconfirmed, flow.Name, flow.Publisher, waiting)
	b.fault(Refused, flow.Name, flow.Publisher, refused)
}

func (b *Books) fault(kind Kind, flow, service string, ids []string) {
	if len(ids) > 0 {
		b.Faults = append(b.Faults, Fault{Kind: kind, Flow: flow, Service: service, IDs: ids})
	}
}

// strangers are events that were confirmed and never published in any flow.
func (l *ledger) strangers() []string {
	all := make(set)
	for _, ids := range l.published {
		all.union(ids)
	}
	return l.confirmed.minus(all)
}

// allReceived joins the sets of the named subscriptions, or of all subscriptions for
// nil.
func (l *ledger) allReceived(subscriptions []string) set {
	all := make(set)
	if subscriptions == nil {
		for _, ids := range l.received {
			all.union(ids)
		}
	}
	for _, s := range subscriptions {
		all.union(l.received[s])
	}
	return all
}

// within returns the set of a key. It makes the set when there is none.
func within(sets map[string]set, key string) set {
	if sets[key] == nil {
		sets[key] = make(set)
	}
	return sets[key]
}
