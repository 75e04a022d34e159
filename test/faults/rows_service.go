package faults

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
)

var serviceRows = []Scenario{
	{Row: 20, Name: "slow-consumer", Fault: "services that take 50 ms an event, under more than they can do", Nodes: 1, Short: true, run: slowConsumer},
	{Row: 21, Name: "silent-service", Fault: "a service that never settles what it gets first", Nodes: 1, Short: true, run: silentService},
	{Row: 22, Name: "crash-loop", Fault: "a service that crashes at some events, each time it gets them", Nodes: 1, Short: true, run: crashLoop},
	{Row: 23, Name: "poison", Fault: "events that a service never can handle", Nodes: 1, Short: true, Quick: true, run: poison},
}

// slowConsumer: the sidecar holds no more than its prefetch, and the rest stays in the
// queue.
func slowConsumer(w *World) check.Expect {
	const few = 8
	var services tempo
	w.start(setup{declared: declared{subscription: []string{fmt.Sprintf("queue: {prefetch: %d}", few)}}, load: func(m *mix) {
		m.behave = func(string, int) func(*load.Subscriber) {
			return func(s *load.Subscriber) { services.behave(s, 50*time.Millisecond) }
		}
	}})
	d := w.disturb("slow services", func() string {
		w.keep(5 * time.Second)
		return fmt.Sprintf("%d events wait in the queues", w.waiting())
	})
	if strings.HasPrefix(d.fault.Proof, "0 ") {
		d.fault.Proof = ""
	}
	services.hurry()
	d.heal(nil)
	w.awaitOK(100)
	w.finish()
	for _, s := range w.subscribers {
		if most := s.Most.Load(); most > few {
			w.Errorf("%s had %d unsettled deliveries, more than its prefetch of %d", s.Consumer, most, few)
		}
	}
	return w.expect()
}

// silentService: a delivery that is not settled in time is delivered again, after the
// ack deadline. It must be Warren that does this: the broker would close the channel.
func silentService(w *World) check.Expect {
	var ignored atomic.Int64
	w.start(setup{
		declared: declared{subscription: []string{"ackDeadline: 1s"}, brokerDelay: true, retry: "attempts: 5, backoff: {baseInterval: 100ms, maxInterval: 500ms}"},
		load: func(m *mix) {
			m.behave = func(string, int) func(*load.Subscriber) {
				return func(s *load.Subscriber) {
					s.Decide = func(d *eventsv1.Delivery) load.Decision {
						if d.GetAttempt() == 1 && strings.HasSuffix(d.GetEvent().GetId(), "-7") {
							ignored.Add(1)
							return load.Decision{}
						}
						return load.Decision{Outcome: history.Ack}
					}
				}
			}
		},
	})
	connections := w.connections()
	d := w.disturb("silence", func() string {
		w.await("deliveries are ignored", 20*time.Second, func() bool { return ignored.Load() > 0 })
		return "deliveries ignored"
	})
	d.heal(nil)
	w.keep(3 * time.Second)
	d.prove(fmt.Sprintf("%d in all", ignored.Load()))
	w.sameConnections(connections)
	w.finish()
	return w.expect()
}

// crashLoop: each crash counts as an attempt of the event that caused it, and of no
// other event.
func crashLoop(w *World) check.Expect {
	var crashes atomic.Int64
	w.start(setup{
		declared: declared{retry: "attempts: 3, backoff: {baseInterval: 100ms, maxInterval: 500ms}"},
		load: func(m *mix) {
			m.behave = func(string, int) func(*load.Subscriber) {
				return func(s *load.Subscriber) {
					s.Decide = func(d *eventsv1.Delivery) load.Decision {
						if d.GetEvent().GetType() == poisonType {
							crashes.Add(1)
							return load.Decision{Crash: true}
						}
						return load.Decision{Outcome: history.Ack}
					}
				}
			}
		},
	})
	d := w.disturb("crashes", func() string {
		w.poison(4)
		w.await("the service crashed", 20*time.Second, func() bool { return crashes.Load() > 0 })
		return "the service crashed"
	})
	d.heal(nil)
	w.keep(4 * time.Second)
	w.finish()
	w.checkDead(4)
	return w.expect()
}

// poison: a poison event is dead-lettered after its attempts, with the reason. Its
// neighbours are neither dropped nor blocked.
func poison(w *World) check.Expect {
	w.start(setup{
		declared: declared{brokerDelay: true, retry: "attempts: 3, backoff: {baseInterval: 100ms, maxInterval: 500ms}"},
		load: func(m *mix) {
			m.behave = func(string, int) func(*load.Subscriber) {
				return func(s *load.Subscriber) {
					s.Decide = func(d *eventsv1.Delivery) load.Decision {
						if d.GetEvent().GetType() == poisonType {
							return load.Decision{Outcome: history.Retry, Reason: "cannot be handled"}
						}
						return load.Decision{Outcome: history.Ack}
					}
				}
			}
		},
	})
	d := w.disturb("poison", func() string {
		w.poison(20)
		return w.retries() + ", 20 events published that no service can handle"
	})
	d.heal(nil)
	w.keep(3 * time.Second)
	w.finish()
	w.checkDead(20)
	return w.expect()
}

const poisonType = "faults.poison"

// poison publishes events that the services of a scenario recognise by their type.
func (w *World) poison(n int) {
	w.Helper()
	p := w.publisher(standard(), "poison", 1)
	p.Type, p.Count, p.Rate = poisonType, n, 200
	p.Unary(w.Context(), nil)
}

// checkDead checks that exactly the poison events are in the dead-letter queues, each
// with a reason and its attempts.
func (w *World) checkDead(n int) {
	w.Helper()
	per := map[string]int{}
	for _, d := range w.Recorder.Run().DeadLetters {
		per[d.Subscription]++
		if !strings.HasPrefix(d.ID, "poison") {
			w.Errorf("%s of %s is a dead letter, and was no poison", d.ID, d.Subscription)
			return
		}
		if d.Reason == "" || d.Attempts != 3 {
			w.Errorf("dead letter %s of %s has reason %q after %d attempts, want one, after 3", d.ID, d.Subscription, d.Reason, d.Attempts)
			return
		}
	}
	for _, s := range w.subscriptions() {
		if per[s] != n {
			w.Errorf("%s has %d dead letters, want %d", s, per[s], n)
		}
	}
}
