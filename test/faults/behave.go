package faults

import (
	"strings"
	"sync/atomic"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
	"github.com/warrenmesh/warren/test/faults/toxic"
)

// tempo is the speed of the services: slow, until they hurry.
type tempo struct{ hurries atomic.Bool }

// hurry makes the services work without delay, so that a backlog ends.
func (t *tempo) hurry() { t.hurries.Store(true) }

// behave makes a subscriber acknowledge after some working time.
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

// hesitant makes services refuse every twentieth event once, so that a fault finds
// events that wait for their retry; the broker's own delay is used where it exists.
// With order it is every five-hundredth event, because each holds up its key, and the
// services must keep up with the load.
func hesitant() setup {
	return setup{
		declared: declared{brokerDelay: true, retry: "attempts: 20, backoff: {baseInterval: 500ms, maxInterval: 1s}"},
		load: func(m *mix) {
			m.behave = func(subscription string, _ int) func(*load.Subscriber) {
				every := int64(20)
				if subscription == ledger {
					every = 500
				}
				return func(s *load.Subscriber) {
					var seen atomic.Int64
					s.Decide = func(d *eventsv1.Delivery) load.Decision {
						if d.GetAttempt() == 1 && seen.Add(1)%every == 0 {
							return load.Decision{Outcome: history.Retry, Reason: "not now"}
						}
						return load.Decision{Outcome: history.Ack}
					}
				}
			}
		},
	}
}

// retries says where retries of the unordered subscription wait, according to its
// queue's arguments.
func (w *World) retries() string {
	w.Helper()
	delays := w.call(`{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"%s">>, queue, <<"%s">>)),
lists:keymember(<<"x-delayed-retry-type">>, 1, amqqueue:get_arguments(Q)).`, w.vhost, w.queueName(billing)) == "true"
	if delays != w.declared.brokerDelay {
		w.Fatalf("%s was declared with delayed retries: %t; its queue has them: %t", billing, w.declared.brokerDelay, delays)
	}
	if delays {
		return "retries of " + billing + " wait in its own queue"
	}
	return "retries of " + billing + " wait in delay queues"
}

// delaysRetries reports whether the broker can delay a retry in its own queue. RabbitMQ
// 4.3 and later can.
func (w *World) delaysRetries() bool {
	w.Helper()
	const since = "4.3"
	return byVersion(strings.Trim(w.call("rabbit_misc:version()."), `"`), since) <= 0
}
