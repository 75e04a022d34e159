// Package account checks the journals of a run of the shop: was every published event
// confirmed, and did every service that must receive it do so? It compares ids as sets;
// sums alone could hide a lost event behind a repeated one.
//
// It owns only the comparison: no file, no clock, no network. All functions are pure
// and safe for concurrent use.
//
//	books := account.Settle(account.Shop(true), run, journals)
//	fmt.Println(books.Summary()) // 8000 published, 8000 confirmed, 16000 delivered, 0 lost
//	ok := books.Balanced()
package account

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Flow is a kind of event, with the service that publishes it and the services that
// must receive it.
type Flow struct {
	// Name is the topic's name for the publisher: "orders".
	Name string
	// Publisher is the service that publishes the flow.
	Publisher string
	// Receivers must each receive every event.
	Receivers []Receiver
	// CausedBy names another flow: every event of that flow must cause one event of
	// this flow. Empty means that the flow has no cause.
	CausedBy string
}

// Receiver is a service that receives a flow on one or more subscriptions. An event may
// come on any of them.
type Receiver struct {
	Service       string
	Subscriptions []string
}

// Shop returns the flows of the demo's shop. Without shipping (no Node on this machine)
// that service receives nothing.
func Shop(shipping bool) []Flow {
	orders := Flow{Name: "orders", Publisher: "checkout", Receivers: []Receiver{
		{Service: "billing", Subscriptions: []string{"billing", "billing-next"}},
		{Service: "audit", Subscriptions: []string{"audit", "audit-next"}},
	}}
	if shipping {
		orders.Receivers = slices.Insert(orders.Receivers, 1,
			Receiver{Service: "shipping", Subscriptions: []string{"shipping", "shipping-next"}})
	}
	invoices := Flow{Name: "invoices", Publisher: "billing", CausedBy: "orders", Receivers: []Receiver{
		{Service: "audit", Subscriptions: []string{"audit-invoices"}},
	}}
	return []Flow{orders, invoices}
}

// Kind of a fault.
type Kind int

// The kinds of faults.
const (
	// Unconfirmed: published, but never confirmed.
	Unconfirmed Kind = iota + 1
	// Refused: the publisher gave up.
	Refused
	// Missing: published, but not received by a service that must receive it.
	Missing
	// Unknown: confirmed or received with an id of this run, but never published.
	Unknown
	// NotFollowed: received, but the event it must cause was never published.
	NotFollowed
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case Unconfirmed:
		return "not confirmed"
	case Refused:
		return "refused"
	case Missing:
		return "not received"
	case Unknown:
		return "never published"
	case NotFollowed:
		return "not followed up"
	default:
		return fmt.Sprintf("Kind(%d)", int(k))
	}
}

// Fault is one error in the books.
type Fault struct {
	Kind Kind
	// Flow it is about.
	Flow string
	// Service whose journal shows the fault.
	Service string
	// IDs of the events, sorted.
	IDs []string
}

// String describes the fault, with the first few ids.
func (f Fault) String() string {
	shown := f.IDs[:min(len(f.IDs), 3)]
	more := ""
	if len(f.IDs) > len(shown) {
		more = ", …"
	}
	return fmt.Sprintf("%s: %d of %s %s (%s%s)", f.Service, len(f.IDs), f.Flow, f.Kind, strings.Join(shown, ", "), more)
}

// Row holds the numbers of one service.
type Row struct {
	Service string
	// Published and Confirmed count distinct event ids.
	Published, Confirmed int
	// Repeated counts events whose publish took more than one call.
	Repeated int
	// Received counts distinct events, on any subscription.
	Received int
	// Redelivered counts deliveries that were not the first attempt.
	Redelivered int
	// Duplicates counts deliveries of events that the service had already received.
	Duplicates int
	// Missing counts events that it must have received and did not.
	Missing int
	// Leftovers counts deliveries of events of earlier runs.
	Leftovers int
}

// Books is the result of the comparison.
type Books struct {
	// Published and Confirmed count distinct event ids over all flows.
	Published, Confirmed int
	// Delivered sums the distinct events of each subscription.
	Delivered int
	// Lost counts, over all services that must receive a flow, the events that they did
	// not receive. An event that was never confirmed counts once more.
	Lost int
	// PerSubscription counts distinct events by subscription.
	PerSubscription map[string]int
	// Rows has one row for each service, in the order in which the flows name them.
	Rows []Row
	// Faults is empty when the books balance.
	Faults []Fault
}

// Balanced reports whether every published event was confirmed, was received by every
// service that must receive it, and caused its follow-up, and whether there are no
// other events. Books without any event do not balance, because they prove nothing.
func (b Books) Balanced() bool { return b.Published > 0 && len(b.Faults) == 0 }

// Summary is the demo's last line, without the prefix "demo: ".
func (b Books) Summary() string {
	return fmt.Sprintf("%d published, %d confirmed, %d delivered, %d lost", b.Published, b.Confirmed, b.Delivered, b.Lost)
}

// set holds event ids.
type set map[string]struct{}

func (s set) add(id string)      { s[id] = struct{}{} }
func (s set) has(id string) bool { _, ok := s[id]; return ok }

// minus returns, sorted, the ids that are not in other.
func (s set) minus(other set) []string {
	var out []string
	for id := range s {
		if !other.has(id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func (s set) union(other set) { maps.Copy(s, other) }
