package event

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
	"github.com/warrenmesh/warren/test/faults/rig"
)

var serviceRows = []rig.Scenario{
	{Row: 20, Name: "slow-consumer", Fault: "Services take 50 ms for each event, and more events arrive than they can handle", Nodes: 1, Short: true, Run: slowConsumer},
	{Row: 21, Name: "silent-service", Fault: "Services do not settle the first delivery of some events", Nodes: 1, Short: true, Run: silentService},
	{Row: 22, Name: "crash-loop", Fault: "A service crashes each time it receives certain events", Nodes: 1, Short: true, Run: crashLoop},
	{Row: 23, Name: "poison", Fault: "Services can never handle certain events", Nodes: 1, Short: true, Quick: true, Run: poison},
}

// slowConsumer: the sidecar holds no more than its prefetch, and the rest stays in the
// queue.
func slowConsumer(w *rig.World) check.Expect {
	const few = 8
	var services rig.Tempo
	w.Start(rig.Setup{Declared: rig.Declared{Subscription: []string{fmt.Sprintf("queue: {prefetch: %d}", few)}}, Load: func(m *rig.Mix) {
		m.Behave = func(string, int) func(*load.Subscriber) {
			return func(s *load.Subscriber) { services.Behave(s, 50*time.Millisecond) }
		}
	}})
	d := w.Disturb("slow services", func() string {
		w.Keep(5 * time.Second)
		return fmt.Sprintf("%d events wait in the queues", w.Waiting())
	})
	if strings.HasPrefix(d.Fault.Proof, "0 ") {
		d.Fault.Proof = ""
	}
	services.Hurry()
	d.Heal(nil)
	w.AwaitOK(100)
	w.Finish()
	for _, s := range w.Subscribers {
		if most := s.Most.Load(); most > few {
			w.Errorf("%s had %d unsettled deliveries, more than its prefetch of %d", s.Consumer, most, few)
		}
	}
	return w.Expect()
}

// silentService: a delivery that is not settled in time is delivered again, after the
// ack deadline. It must be Warren that does this: the broker would close the channel.
func silentService(w *rig.World) check.Expect {
	var ignored atomic.Int64
	w.Start(rig.Setup{
		Declared: rig.Declared{Subscription: []string{"ackDeadline: 1s"}, BrokerDelay: true, Retry: "attempts: 5, backoff: {baseInterval: 100ms, maxInterval: 500ms}"},
		Load: func(m *rig.Mix) {
			m.Behave = func(string, int) func(*load.Subscriber) {
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
	connections := w.Connections()
	d := w.Disturb("silence", func() string {
		w.Await("deliveries are ignored", 20*time.Second, func() bool { return ignored.Load() > 0 })
		return "deliveries ignored"
	})
	d.Heal(nil)
	w.Keep(3 * time.Second)
	d.Prove(fmt.Sprintf("%d in all", ignored.Load()))
	w.SameConnections(connections)
	w.Finish()
	return w.Expect()
}

// crashLoop: each crash counts as an attempt of the event that caused it, and of no
// other event.
func crashLoop(w *rig.World) check.Expect {
	var crashes atomic.Int64
	w.Start(rig.Setup{
		Declared: rig.Declared{Retry: "attempts: 3, backoff: {baseInterval: 100ms, maxInterval: 500ms}"},
		Load: func(m *rig.Mix) {
			m.Behave = func(string, int) func(*load.Subscriber) {
				return func(s *load.Subscriber) {
					s.Decide = func(d *eventsv1.Delivery) load.Decision {
						if d.GetEvent().GetType() == rig.PoisonType {
							crashes.Add(1)
							return load.Decision{Crash: true}
						}
						return load.Decision{Outcome: history.Ack}
					}
				}
			}
		},
	})
	d := w.Disturb("crashes", func() string {
		publishPoison(w, 4)
		w.Await("the service crashed", 20*time.Second, func() bool { return crashes.Load() > 0 })
		return "the service crashed"
	})
	d.Heal(nil)
	w.Keep(4 * time.Second)
	w.Finish()
	checkDead(w, 4)
	return w.Expect()
}

// poison: a poison event is dead-lettered after its attempts, with the reason. Its
// neighbours are neither dropped nor blocked.
func poison(w *rig.World) check.Expect {
	w.Start(rig.Setup{
		Declared: rig.Declared{BrokerDelay: true, Retry: "attempts: 3, backoff: {baseInterval: 100ms, maxInterval: 500ms}"},
		Load: func(m *rig.Mix) {
			m.Behave = func(string, int) func(*load.Subscriber) {
				return func(s *load.Subscriber) {
					s.Decide = func(d *eventsv1.Delivery) load.Decision {
						if d.GetEvent().GetType() == rig.PoisonType {
							return load.Decision{Outcome: history.Retry, Reason: "cannot be handled"}
						}
						return load.Decision{Outcome: history.Ack}
					}
				}
			}
		},
	})
	d := w.Disturb("poison", func() string {
		publishPoison(w, 20)
		return w.Retries() + ", 20 events published that no service can handle"
	})
	d.Heal(nil)
	w.Keep(3 * time.Second)
	w.Finish()
	checkDead(w, 20)
	return w.Expect()
}

// publishPoison publishes events that the services of a scenario recognise by their type.
func publishPoison(w *rig.World, n int) {
	w.Helper()
	p := w.Publisher(rig.Standard(), "poison", 1)
	p.Type, p.Count, p.Rate = rig.PoisonType, n, 200
	p.Unary(w.Context(), nil)
}

// checkDead checks that exactly the poison events are in the dead-letter queues, each
// with a reason and its attempts.
func checkDead(w *rig.World, n int) {
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
	for _, s := range w.Subscriptions() {
		if per[s] != n {
			w.Errorf("%s has %d dead letters, want %d", s, per[s], n)
		}
	}
}
