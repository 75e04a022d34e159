package faults

import (
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
	"github.com/warrenmesh/warren/test/faults/toxic"
)

// after acknowledges after some work.
func after(work time.Duration) func(*eventsv1.Delivery) load.Decision {
	return func(*eventsv1.Delivery) load.Decision { return load.Decision{Outcome: history.Ack, After: work} }
}

// quicken adds a subscriber that works at once, so that a backlog ends.
func (w *World) quicken() {
	w.Helper()
	for _, s := range w.declared.subscriptions() {
		w.addSubscriber(&load.Subscriber{Recorder: w.Recorder, Client: w.billing, Subscription: w.namespace + "/" + s, Consumer: s + "-quick"})
	}
}

// cut resets every connection of a link.
func (w *World) cut(l *toxic.Link) {
	w.Helper()
	if err := l.Cut(); err != nil {
		w.Fatal(err)
	}
}
