package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/warrenmesh/warren/examples/shop/account"
	"github.com/warrenmesh/warren/examples/shop/journal"
)

// watch reads the journals of all services while they are written. It belongs to one
// goroutine.
type watch struct {
	tails   map[string]*journal.Tail
	records map[string][]journal.Record // by service
}

func newWatch(l layout, services []service) *watch {
	w := &watch{tails: make(map[string]*journal.Tail), records: make(map[string][]journal.Record)}
	for _, s := range services {
		w.tails[s.name] = journal.NewTail(l.journal(s.name))
	}
	return w
}

// poll reads new lines and reports whether there were any.
func (w *watch) poll() (grew bool, err error) {
	for service, tail := range w.tails {
		records, err := tail.Next()
		if err != nil {
			return grew, err
		}
		grew = grew || len(records) > 0
		w.records[service] = append(w.records[service], records...)
	}
	return grew, nil
}

// subscribed reports whether a service wrote that a subscription is open or, for "",
// that it accepts pushed events.
func (w *watch) subscribed(service, subscription string) bool {
	return slices.ContainsFunc(w.records[service], func(r journal.Record) bool {
		return r.What == journal.Ready && r.Subscription == subscription
	})
}

// done reports whether checkout has placed all orders.
func (w *watch) done() bool {
	return slices.ContainsFunc(w.records["checkout"], func(r journal.Record) bool { return r.What == journal.Done })
}

// confirmed counts confirmed orders.
func (w *watch) confirmed() int { return w.confirmedSince(time.Time{}) }

// confirmedSince counts the orders confirmed after a moment.
func (w *watch) confirmedSince(since time.Time) int {
	n := 0
	for _, r := range w.records["checkout"] {
		if r.What == journal.Confirmed && r.Time.After(since) {
			n++
		}
	}
	return n
}

// progress is the status line. More orders may be placed than were asked for while the
// shop is open.
func progress(books account.Books, orders int) string {
	var b strings.Builder
	for i, row := range books.Rows {
		if i == 0 {
			fmt.Fprintf(&b, "orders %d/%d, confirmed %d, received by", row.Published, max(orders, row.Published), row.Confirmed)
			continue
		}
		fmt.Fprintf(&b, " %s %d", row.Service, row.Received)
	}
	return b.String()
}

// split counts confirmed orders by their topic, before the edit and after it was in
// force. It leaves out the orders in between, because the sidecars changed at different
// times.
type split struct {
	before, after map[string]int
}

func splitAt(records []journal.Record, edited, inForce time.Time) split {
	s := split{before: make(map[string]int), after: make(map[string]int)}
	for _, r := range records {
		switch {
		case r.What != journal.Confirmed:
		case r.Time.Before(edited):
			s.before[r.Topic]++
		case r.Time.After(inForce):
			s.after[r.Topic]++
		}
	}
	return s
}

// share of a topic in counts, from 0 to 1; 0 without events.
func share(counts map[string]int, topic string) float64 {
	total := 0
	for _, n := range counts {
		total += n
	}
	if total == 0 {
		return 0
	}
	return float64(counts[topic]) / float64(total)
}
