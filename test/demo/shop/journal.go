package shop

import (
	"slices"
	"time"

	"github.com/warrenmesh/warren/examples/shop/journal"
)

// Watch reads the journals of all services while they are written. It belongs to one
// goroutine.
type Watch struct {
	tails   map[string]*journal.Tail
	Records map[string][]journal.Record // by service
}

// NewWatch watches the journals of the services. The files need not exist yet.
func NewWatch(l Files, services []Service) *Watch {
	w := &Watch{tails: make(map[string]*journal.Tail), Records: make(map[string][]journal.Record)}
	for _, s := range services {
		w.tails[s.Name] = journal.NewTail(l.Journal(s.Name))
	}
	return w
}

// Poll reads new lines and reports whether there were any.
func (w *Watch) Poll() (grew bool, err error) {
	for service, tail := range w.tails {
		records, err := tail.Next()
		if err != nil {
			return grew, err
		}
		grew = grew || len(records) > 0
		w.Records[service] = append(w.Records[service], records...)
	}
	return grew, nil
}

// Subscribed reports whether a service wrote that a subscription is open or, for "",
// that it accepts pushed events.
func (w *Watch) Subscribed(service, subscription string) bool {
	return slices.ContainsFunc(w.Records[service], func(r journal.Record) bool {
		return r.What == journal.Ready && r.Subscription == subscription
	})
}

// Done reports whether checkout has placed all orders.
func (w *Watch) Done() bool {
	return slices.ContainsFunc(w.Records["checkout"], func(r journal.Record) bool { return r.What == journal.Done })
}

// Confirmed counts confirmed orders.
func (w *Watch) Confirmed() int { return w.ConfirmedSince(time.Time{}) }

// ConfirmedSince counts the orders confirmed after a moment.
func (w *Watch) ConfirmedSince(since time.Time) int {
	n := 0
	for _, r := range w.Records["checkout"] {
		if r.What == journal.Confirmed && r.Time.After(since) {
			n++
		}
	}
	return n
}

// Split counts confirmed orders by their topic, before the edit and after it was in
// force. It leaves out the orders in between, because the sidecars changed at different
// times.
type Split struct {
	Before, After map[string]int
}

// SplitAt splits the orders of a journal at an edit that was made and, later, in force.
func SplitAt(records []journal.Record, edited, inForce time.Time) Split {
	s := Split{Before: make(map[string]int), After: make(map[string]int)}
	for _, r := range records {
		switch {
		case r.What != journal.Confirmed:
		case r.Time.Before(edited):
			s.Before[r.Topic]++
		case r.Time.After(inForce):
			s.After[r.Topic]++
		}
	}
	return s
}

// Share of a topic in counts, from 0 to 1; 0 without events.
func Share(counts map[string]int, topic string) float64 {
	total := 0
	for _, n := range counts {
		total += n
	}
	if total == 0 {
		return 0
	}
	return float64(counts[topic]) / float64(total)
}
