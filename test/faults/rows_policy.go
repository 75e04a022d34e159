package faults

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/load"
)

var policyRows = []Scenario{
	{
		Row: 41, Name: "policy-delivery-limit", Fault: "policies with delivery-limit 3, while the streams of services end five times before they settle an event",
		Holds: "every event is acknowledged, or in the dead-letter queue for the reason delivery-limit; the sidecar reports what was taken",
		Nodes: 1, Short: true, Patience: 7 * time.Minute, run: policyDeliveryLimit,
	},
	{
		Row: 42, Name: "policy-ttl-and-length", Fault: "policies with message-ttl, max-length with drop-head, and expires, set, changed and cleared under more load than the services can do",
		Holds: "every event is acknowledged, or in the dead-letter queue for the reason expired or max-length; the sidecar reports what was taken",
		Nodes: 1, Short: true, Patience: 7 * time.Minute, run: policyTTLAndLength,
	},
}

// policed lists the reasons of dead letters that a policy causes.
var policed = []string{"expired", "delivery-limit", "max-length"}

// crashes counts how often a service disconnected while it held an event, by
// subscription and event.
type crashes struct {
	mu    sync.Mutex
	times map[string]int
	all   atomic.Int64
}

// behave makes the services of a subscription disconnect when they receive certain
// events, n times for each event.
func (c *crashes) behave(subscription string, n int) func(*load.Subscriber) {
	return func(s *load.Subscriber) {
		s.Decide = func(d *eventsv1.Delivery) load.Decision {
			if d.GetEvent().GetType() != poisonType {
				return load.Decision{Outcome: history.Ack}
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			key := subscription + " " + d.GetEvent().GetId()
			if c.times[key]++; c.times[key] > n {
				return load.Decision{Outcome: history.Ack}
			}
			c.all.Add(1)
			return load.Decision{Crash: true}
		}
	}
}

// policyDeliveryLimit: RabbitMQ applies the smaller limit of the queue's declaration
// and the policy. Events over the limit are in the dead-letter queue.
func policyDeliveryLimit(w *World) check.Expect {
	const crashesEach = 5
	gone := crashes{times: map[string]int{}}
	w.start(setup{
		declared: declared{classic: true, retry: "attempts: 20, backoff: {baseInterval: 100ms, maxInterval: 500ms}"},
		load: func(m *mix) {
			m.rate = 20
			m.behave = func(subscription string, _ int) func(*load.Subscriber) { return gone.behave(subscription, crashesEach) }
		},
	})
	const policy, definition = "rig-limit", `{"delivery-limit":3}`
	w.Cleanup(func() { w.clearPolicy(policy) })
	for i, pattern := range []string{everyQueue, workQueues} {
		d := w.disturb("delivery-limit on "+pattern, func() string {
			w.setPolicy(policy, pattern, definition)
			proof := w.forced(policy, definition)
			before := gone.all.Load()
			p := w.publisher(standard(), fmt.Sprintf("poison%d", i), 1)
			p.Type, p.Count, p.Rate = poisonType, 3, 50
			p.Unary(w.Context(), nil)
			w.await("streams end four times", w.slowly(30*time.Second), func() bool { return gone.all.Load()-before >= 4 })
			return proof
		})
		w.keep(3 * time.Second)
		if w.letters() == 0 {
			w.Errorf("RabbitMQ took nothing: the policy was no test")
		}
		w.reported(w.billing, definition)
		d.heal(func() { w.clearPolicy(policy) })
		w.awaitOK(100)
	}
	w.finish()
	w.drained()
	e := w.expect()
	e.Reasons = policed
	e.MoreDuplicates = -1 // each stream that ends returns its deliveries, with or without a policy
	e.MaxRecovery = 5 * time.Second
	return e
}

// policyTTLAndLength: events that a policy removes from a queue are in the dead-letter
// queue. The policy with drop-head comes first, because RabbitMQ deletes what a queue has
// given up and not moved yet when drop-head comes into force, see setPolicy: behind
// services this slow, expired events are still being moved minutes later. The delay queues
// have such a policy before the first event.
func policyTTLAndLength(w *World) check.Expect {
	const onDelays = "rig-delays"
	w.Cleanup(func() { w.clearPolicy(onDelays) })
	var services tempo
	w.start(setup{
		declared: declared{classic: true, subscription: []string{"queue: {prefetch: 8}"}, retry: "attempts: 20, backoff: {baseInterval: 200ms, maxInterval: 200ms}"},
		load: func(m *mix) {
			w.setPolicy(onDelays, delays, `{"max-length":1,"overflow":"drop-head"}`)
			m.rate, m.behave = 20, func(string, int) func(*load.Subscriber) {
				return func(s *load.Subscriber) { services.behaveOrRetry(s, 100*time.Millisecond) }
			}
		},
	})
	delay := w.queueName(billing) + ".retry.200ms"
	w.await("policy "+onDelays+" is in force on "+delay, w.slowly(bootTime/8), func() bool { return w.policyOf(delay) == onDelays })
	const policy = "rig-take"
	w.Cleanup(func() { w.clearPolicy(policy) })
	for _, change := range [][]string{ // pattern, definition, and the changed definition
		{consumed, `{"max-length":20,"overflow":"drop-head"}`, `{"max-length":5,"overflow":"drop-head"}`},
		{workQueues, `{"message-ttl":500}`, `{"message-ttl":200}`},
		{consumed, `{"expires":1500}`, `{"expires":3000}`},
	} {
		pattern, change := change[0], change[1:]
		before := w.letters()
		d := w.disturb("policy "+change[0], func() string {
			w.setPolicy(policy, pattern, change[0])
			return w.forced(policy, change[0])
		})
		w.keep(2 * time.Second)
		w.setPolicy(policy, pattern, change[1])
		w.keep(2 * time.Second)
		taken := w.letters() - before
		d.prove(fmt.Sprintf("changed to %s; %d more dead letters", change[1], taken))
		if taken > 0 {
			w.reported(w.billing, change[0])
		}
		d.heal(func() {
			w.clearPolicy(policy)
			w.clearPolicy(onDelays)
		})
		w.awaitOK(50)
	}
	services.hurry()
	w.finish()
	w.drained()
	e := w.expect()
	e.Reasons = slices.Clone(policed)
	e.MaxRecovery = 5 * time.Second
	return e
}

// behaveOrRetry makes a subscriber slow. At first it asks to retry some events.
func (t *tempo) behaveOrRetry(s *load.Subscriber, work time.Duration) {
	t.behave(s, work)
	acknowledge := s.Decide
	s.Decide = func(d *eventsv1.Delivery) load.Decision {
		if n := len(d.GetEvent().GetId()); d.GetAttempt() == 1 && d.GetEvent().GetId()[n-1] == '7' {
			return load.Decision{Outcome: history.Retry, After: work}
		}
		return acknowledge(d)
	}
}
