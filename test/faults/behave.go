package faults

import (
	"sync/atomic"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
	"github.com/warrenmesh/warren/test/faults/toxic"
)

// tempo is how services work: slowly, until they hurry.
type tempo struct{ hurries atomic.Bool }

// hurry lets the services work at once, so that a backlog ends.
func (t *tempo) hurry() { t.hurries.Store(true) }

// behave makes a subscriber acknowledge after some work.
func (t *tempo) behave(s *load.Subscriber, work time.Duration) {
	s.Decide = func(*eventsv1.Delivery) load.Decision {
		if t.hurries.Load() {
			return load.Decision{Outcome: history.Ack}
		}
		return load.Decision{Outcome: history.Ack, After: work}
	}
}

// cut resets every connection of a link.
func (w *World) cut(l *toxic.Link) {
	w.Helper()
	if err := l.Cut(); err != nil {
		w.Fatal(err)
	}
}
