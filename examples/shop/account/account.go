// Package account settles the shop's books: from the journals of all services it
// finds out whether every event that was published was confirmed and reached
// every service that should have it. Ids are compared as sets; sums alone could
// hide a lost event behind a repeated one.
//
// It owns the comparison and nothing else: no file, no clock, no network. All
// functions are pure and safe for concurrent use.
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

// Flow is a kind of event: who publishes it and who must receive it.
type Flow struct {
	// Name is what the publisher calls the topic: "orders".
	Name string
	// Publisher is the service that publishes it.
	Publisher string
	// Receivers each must receive every event.
	Receivers []Receiver
	// CausedBy names the flow of which every event must cause one of this flow;
	// empty means that the flow has no cause.
	CausedBy string
}

// Receiver is a service that receives a flow on one or more subscriptions; which
// one an event takes does not matter.
type Receiver struct {
	Service       string
	Subscriptions []string
}

// Shop is what the demo's shop promises. Without shipping (no Node on this
// machine) nobody expects it to receive anything.
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

// What can be wrong with the books.
const (
	// Unconfirmed: published, and never confirmed.
	Unconfirmed Kind = iota + 1
	// Refused: the publisher gave it up.
	Refused
	// Missing: published, and not received by a service that should.
	Missing
	// Unknown: confirmed or received in this run's name, but never published.
	Unknown
	// NotFollowed: received, but the event it should cause was never published.
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

// Fault is one way in which the books do not balance.
type Fault struct {
	Kind Kind
	// Flow it is about.
	Flow string
	// Service whose journal shows it.
	Service string
	// IDs of the events, sorted.
	IDs []string
}

// String says what is wrong, with the first few ids.
func (f Fault) String() string {
	shown := f.IDs[:min(len(f.IDs), 3)]
	more := ""
	if len(f.IDs) > len(shown) {
		more = ", …"
	}
	return fmt.Sprintf("%s: %d of %s %s (%s%s)", f.Service, len(f.IDs), f.Flow, f.Kind, strings.Join(shown, ", "), more)
}

// Row is one service's part.
type Row struct {
	Service string
	// Published and Confirmed count distinct event ids.
	Published, Confirmed int
	// Repeated counts events whose publish took more than one call.
	Repeated int
	// Received counts distinct events, whatever subscription they came on.
	Received int
	// Redelivered counts deliveries that were not the first attempt.
	Redelivered int
	// Duplicates counts deliveries of events the service already had.
	Duplicates int
	// Missing counts events it should have received and did not.
	Missing int
	// Leftovers counts deliveries of events of earlier runs.
	Leftovers int
}

// Books is the result.
type Books struct {
	// Published and Confirmed count distinct event ids over all flows.
	Published, Confirmed int
	// Delivered sums the distinct events of each subscription.
	Delivered int
	// Lost sums, over all services that should receive a flow, the events that are
	// missing there; an event that was never confirmed counts once more.
	Lost int
	// PerSubscription counts distinct events by subscription.
	PerSubscription map[string]int
	// Rows, one for each service, sorted as the flows name them.
	Rows []Row
	// Faults, empty when the books balance.
	Faults []Fault
}

// Balanced reports whether everything published was confirmed, received by every
// service that should, and followed up, and nothing else was. Books without a
// single event do not balance: nothing was shown.
func (b Books) Balanced() bool { return b.Published > 0 && len(b.Faults) == 0 }

// Summary is the demo's last line, without its name.
func (b Books) Summary() string {
	return fmt.Sprintf("%d published, %d confirmed, %d delivered, %d lost", b.Published, b.Confirmed, b.Delivered, b.Lost)
}

// set holds event ids.
type set map[string]struct{}

func (s set) add(id string)      { s[id] = struct{}{} }
func (s set) has(id string) bool { _, ok := s[id]; return ok }

// minus returns the ids that other lacks, sorted.
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
