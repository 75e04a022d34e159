package broker

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
	"github.com/warrenmesh/warren/test/faults/rig"
)

var policyRows = []rig.Scenario{
	{
		Row: 41, Name: "policy-delivery-limit", Fault: "Policies set delivery-limit 3, while the streams of services end five times before they settle an event",
		Holds: "every event is acknowledged, or is a dead letter with the reason delivery-limit; the sidecar reports what the policy removed",
		Nodes: 1, Short: true, Patience: 7 * time.Minute, Run: policyDeliveryLimit,
	},
	{
		Row: 42, Name: "policy-ttl-and-length", Fault: "Policies with message-ttl, with max-length and drop-head, and with expires are set, changed and cleared under more load than the services can handle",
		Holds: "every event is acknowledged, or is a dead letter with the reason expired or max-length; the sidecar reports what the policies removed",
		Nodes: 1, Short: true, Patience: 7 * time.Minute, Run: policyTTLAndLength,
	},
}

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
			if d.GetEvent().GetType() != rig.PoisonType {
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
func policyDeliveryLimit(w *rig.World) check.Expect {
	const crashesEach = 5
	gone := crashes{times: map[string]int{}}
	w.Start(rig.Setup{
		Declared: rig.Declared{Classic: true, Retry: "attempts: 20, backoff: {baseInterval: 100ms, maxInterval: 500ms}"},
		Load: func(m *rig.Mix) {
			m.Rate = 20
			m.Behave = func(subscription string, _ int) func(*load.Subscriber) { return gone.behave(subscription, crashesEach) }
		},
	})
	const policy, definition = "rig-limit", `{"delivery-limit":3}`
	w.Cleanup(func() { w.ClearPolicy(policy) })
	for i, pattern := range []string{rig.EveryQueue, rig.WorkQueues} {
		d := w.Disturb("delivery-limit on "+pattern, func() string {
			w.SetPolicy(policy, pattern, definition)
			proof := w.PolicyInForce(policy, definition)
			before := gone.all.Load()
			p := w.Publisher(rig.Standard(), fmt.Sprintf("poison%d", i), 1)
			p.Type, p.Count, p.Rate = rig.PoisonType, 3, 50
			p.Unary(w.Context(), nil)
			w.Await("streams end four times", w.Slowly(30*time.Second), func() bool { return gone.all.Load()-before >= 4 })
			return proof
		})
		w.Keep(3 * time.Second)
		if w.DeadLetters() == 0 {
			w.Errorf("RabbitMQ took nothing: the policy was no test")
		}
		w.PolicyReported(w.Billing, definition)
		d.Heal(func() { w.ClearPolicy(policy) })
		w.AwaitOK(100)
	}
	w.Finish()
	w.Drained()
	e := w.Expect()
	e.Reasons = rig.PolicyReasons
	e.MoreDuplicates = -1 // each stream that ends returns its deliveries, with or without a policy
	e.MaxRecovery = 5 * time.Second
	return e
}

// policyTTLAndLength: events that a policy removes from a queue are in the dead-letter
// queue. The policy with drop-head comes first, because RabbitMQ deletes what a queue has
// given up and not moved yet when drop-head comes into force, see SetPolicy: behind
// services this slow, expired events are still being moved minutes later. The delay queues
// have such a policy before the first event.
func policyTTLAndLength(w *rig.World) check.Expect {
	const onDelays = "rig-delays"
	w.Cleanup(func() { w.ClearPolicy(onDelays) })
	var services rig.Tempo
	w.Start(rig.Setup{
		Declared: rig.Declared{Classic: true, Subscription: []string{"queue: {prefetch: 8}"}, Retry: "attempts: 20, backoff: {baseInterval: 200ms, maxInterval: 200ms}"},
		Load: func(m *rig.Mix) {
			w.SetPolicy(onDelays, rig.DelayQueues, `{"max-length":1,"overflow":"drop-head"}`)
			m.Rate, m.Behave = 20, func(string, int) func(*load.Subscriber) {
				return func(s *load.Subscriber) { services.BehaveOrRetry(s, 100*time.Millisecond) }
			}
		},
	})
	delay := w.QueueName(rig.Billing) + ".retry.200ms"
	w.Await("policy "+onDelays+" is in force on "+delay, w.Slowly(rig.BootTime/8), func() bool { return w.PolicyOf(delay) == onDelays })
	const policy = "rig-take"
	w.Cleanup(func() { w.ClearPolicy(policy) })
	for _, change := range [][]string{ // pattern, definition, and the changed definition
		{rig.ConsumedQueues, `{"max-length":20,"overflow":"drop-head"}`, `{"max-length":5,"overflow":"drop-head"}`},
		{rig.WorkQueues, `{"message-ttl":500}`, `{"message-ttl":200}`},
		{rig.ConsumedQueues, `{"expires":1500}`, `{"expires":3000}`},
	} {
		pattern, change := change[0], change[1:]
		before := w.DeadLetters()
		d := w.Disturb("policy "+change[0], func() string {
			w.SetPolicy(policy, pattern, change[0])
			return w.PolicyInForce(policy, change[0])
		})
		w.Keep(2 * time.Second)
		w.SetPolicy(policy, pattern, change[1])
		w.Keep(2 * time.Second)
		taken := w.DeadLetters() - before
		d.Prove(fmt.Sprintf("changed to %s; %d more dead letters", change[1], taken))
		if taken > 0 {
			w.PolicyReported(w.Billing, change[0])
		}
		d.Heal(func() {
			w.ClearPolicy(policy)
			w.ClearPolicy(onDelays)
		})
		w.AwaitOK(50)
	}
	services.Hurry()
	w.Finish()
	w.Drained()
	e := w.Expect()
	e.Reasons = slices.Clone(rig.PolicyReasons)
	e.MaxRecovery = 5 * time.Second
	return e
}
