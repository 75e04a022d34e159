package faults

import (
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
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

// mend returns f as an act that must succeed.
func (w *World) mend(f func() error) func() {
	return func() {
		w.Helper()
		if err := f(); err != nil {
			w.Fatal(err)
		}
	}
}
