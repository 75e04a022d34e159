package soak

import (
	"fmt"
	"syscall"
	"time"

	"github.com/warrenmesh/warren/test/faults/foreign"
	"github.com/warrenmesh/warren/test/faults/rig"
	"github.com/warrenmesh/warren/test/faults/rows/stranger"
)

// drawn is a fault that a soak may draw.
type drawn struct {
	Kind
	inject func(w *rig.World, target int) (proof string)
	undo   func(w *rig.World, target int) // nil for a fault that needs no undoing
}

// soakPolicy is the name of the policies of a soak.
const soakPolicy = "rig-soak"

// policy is a fault of a soak: a policy is set on queues, changed after a while, and
// cleared.
func policy(name, pattern string, definitions ...string) drawn {
	return drawn{
		Kind{Name: "policy " + name, Targets: len(definitions), Min: 2 * time.Second, Max: 6 * time.Second},
		func(w *rig.World, target int) string {
			w.SetPolicy(soakPolicy, pattern, definitions[target])
			return w.PolicyInForce(soakPolicy, definitions[target])
		},
		func(w *rig.World, _ int) { w.ClearPolicy(soakPolicy) },
	}
}

// stray is a fault of a soak: a dozen messages of other programs, of any kind.
func stray() drawn {
	all := foreign.All()
	const each = 12
	return drawn{
		Kind{Name: "messages of others", Targets: len(all) / each, Weight: 3},
		func(w *rig.World, target int) string {
			taken := stranger.Send(w, w.URL(), rig.Orders, all[target*each:(target+1)*each])
			return fmt.Sprintf("RabbitMQ took %d: %s", len(taken), stranger.Kinds(taken))
		}, nil,
	}
}

// both returns a sidecar by the number of the target.
func both(w *rig.World, target int) *rig.Service {
	return []*rig.Service{w.Checkout, w.Billing}[target]
}

var soakKinds = []drawn{
	stray(),
	policy("delivery-limit", rig.WorkQueues, `{"delivery-limit":3}`, `{"delivery-limit":1}`),
	policy("message-ttl", rig.WorkQueues, `{"message-ttl":1000}`, `{"message-ttl":250}`),
	policy("max-length", rig.ConsumedQueues, `{"max-length":50,"overflow":"drop-head"}`, `{"max-length":5,"overflow":"drop-head"}`),
	{Kind{Name: "kill -9 of the broker", Min: time.Second, Max: 3 * time.Second},
		func(w *rig.World, _ int) string { return w.Kill(w.Members[0]) },
		func(w *rig.World, _ int) { w.Boot(w.Members[0]) }},
	{Kind{Name: "SIGSTOP of the broker", Min: time.Second, Max: 6 * time.Second},
		func(w *rig.World, _ int) string {
			return w.Freeze(w.Members[0])
		},
		func(w *rig.World, _ int) { w.Thaw(w.Members[0]) }},
	{Kind{Name: "reset of every connection", Weight: 3},
		func(w *rig.World, _ int) string {
			w.Cut(w.Links[0])
			return fmt.Sprintf("of %d connections so far", w.Links[0].Connections())
		}, nil},
	{Kind{Name: "black hole", Min: 2 * time.Second, Max: 6 * time.Second, Weight: 2},
		func(w *rig.World, _ int) string {
			w.Links[0].BlackHole()
			w.Await("bytes are swallowed", 10*time.Second, func() bool { return w.Links[0].Swallowed() > 0 })
			return fmt.Sprintf("%d bytes swallowed so far", w.Links[0].Swallowed())
		}, heal},
	{Kind{Name: "latency", Min: 2 * time.Second, Max: 5 * time.Second},
		func(w *rig.World, _ int) string {
			w.Links[0].Latency(200*time.Millisecond, 100*time.Millisecond)
			return "200 ms each way"
		}, heal},
	{Kind{Name: "cut within a frame"},
		func(w *rig.World, _ int) string {
			before := w.Links[0].CutConnections()
			w.Links[0].CutAfter(777)
			w.Await("a connection is cut", 10*time.Second, func() bool { return w.Links[0].CutConnections() > before })
			return "777 bytes later"
		}, heal},
	{Kind{Name: "memory alarm", Min: time.Second, Max: 4 * time.Second},
		func(w *rig.World, _ int) string { return w.RaiseAlarm(rig.MemoryAlarmOn) },
		func(w *rig.World, _ int) { w.Call("%s", rig.MemoryAlarmOff) }},
	{Kind{Name: "kill -9 of a sidecar", Targets: 2, Weight: 2},
		func(w *rig.World, target int) string {
			s := both(w, target)
			s.Kill()
			return s.Name + " is dead"
		},
		func(w *rig.World, target int) { w.Restart(both(w, target)); both(w, target).AwaitReady() }},
	{Kind{Name: "SIGTERM of a sidecar", Targets: 2},
		func(w *rig.World, target int) string {
			s := both(w, target)
			s.Signal(syscall.SIGTERM)
			s.AwaitExit(15 * time.Second)
			return s.Name + " has drained"
		},
		func(w *rig.World, target int) { w.Restart(both(w, target)); both(w, target).AwaitReady() }},
	{Kind{Name: "kill -9 of the control plane", Min: time.Second, Max: 4 * time.Second},
		func(w *rig.World, _ int) string {
			w.Plane.Kill()
			return "it is dead"
		},
		func(w *rig.World, _ int) { w.Plane = w.Mesh.StartControlPlane() }},
}

// heal removes every disturbance from the link.
func heal(w *rig.World, _ int) { w.Links[0].Heal() }
