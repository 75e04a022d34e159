package faults

import (
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/foreign"
	"github.com/warrenmesh/warren/test/faults/schedule"
)

// Soak is a scenario that injects random faults for d. The rig's seed determines the
// schedule: the same seed repeats it.
func Soak(d time.Duration) Scenario {
	return Scenario{Name: "soak", Fault: "random faults", Nodes: 1, Patience: d + 10*time.Minute, run: func(w *World) check.Expect { return soak(w, d) }}
}

// drawn is a fault that a soak may draw.
type drawn struct {
	schedule.Kind
	inject func(w *World, target int) (proof string)
	undo   func(w *World, target int) // nil for a fault that needs no undoing
}

func soak(w *World, d time.Duration) check.Expect {
	kinds, byName := []schedule.Kind{}, map[string]drawn{}
	for _, k := range soakKinds {
		kinds = append(kinds, k.Kind)
		byName[k.Name] = k
	}
	steps := schedule.Generate(w.seed, d, kinds)
	var plan strings.Builder
	schedule.Print(&plan, w.seed, steps)
	w.report(strings.TrimSpace(plan.String()))
	var others strangers
	w.start(setup{links: 1, load: func(m *mix) { m.beside = others.beside }})
	w.Cleanup(func() { w.clearPolicy(soakPolicy) })
	began := time.Now()
	for i, s := range steps {
		w.keep(max(0, s.At-time.Since(began)))
		k := byName[s.Kind]
		fault := w.disturb(s.Kind, func() string { return k.inject(w, s.Target) })
		w.keep(s.Lasts)
		fault.heal(func() {
			if k.undo != nil {
				k.undo(w, s.Target)
			}
		})
		w.report(fmt.Sprintf("%3d/%d %v: %s; %d confirmed so far", i+1, len(steps), s, fault.fault.Proof, w.Recorder.Confirmed()))
	}
	w.keep(max(0, d-time.Since(began)))
	w.awaitOK(200)
	w.finish()
	w.drained()
	e := w.expect()
	e.MaxRecovery = 12 * time.Second
	e.Reasons = policed
	return e
}

// soakPolicy is the name of the policies of a soak.
const soakPolicy = "rig-soak"

// policy is a fault of a soak: a policy is set on queues, changed after a while, and
// cleared.
func policy(name, pattern string, definitions ...string) drawn {
	return drawn{
		schedule.Kind{Name: "policy " + name, Targets: len(definitions), Min: 2 * time.Second, Max: 6 * time.Second},
		func(w *World, target int) string {
			w.setPolicy(soakPolicy, pattern, definitions[target])
			return w.forced(soakPolicy, definitions[target])
		},
		func(w *World, _ int) { w.clearPolicy(soakPolicy) },
	}
}

// stray is a fault of a soak: a dozen messages of other programs, of any kind.
func stray() drawn {
	all := foreign.All()
	const each = 12
	return drawn{
		schedule.Kind{Name: "messages of others", Targets: len(all) / each, Weight: 3},
		func(w *World, target int) string {
			taken := w.send(w.url(), topicName, all[target*each:(target+1)*each])
			return fmt.Sprintf("RabbitMQ took %d: %s", len(taken), kinds(taken))
		}, nil,
	}
}

// both returns a sidecar by the number of the target.
func (w *World) both(target int) *service { return []*service{w.checkout, w.billing}[target] }

var soakKinds = []drawn{
	stray(),
	policy("delivery-limit", workQueues, `{"delivery-limit":3}`, `{"delivery-limit":1}`),
	policy("message-ttl", workQueues, `{"message-ttl":1000}`, `{"message-ttl":250}`),
	policy("max-length", consumed, `{"max-length":50,"overflow":"drop-head"}`, `{"max-length":5,"overflow":"drop-head"}`),
	{schedule.Kind{Name: "kill -9 of the broker", Min: time.Second, Max: 3 * time.Second},
		func(w *World, _ int) string { return w.kill(w.Members[0]) },
		func(w *World, _ int) { w.boot(w.Members[0]) }},
	{schedule.Kind{Name: "SIGSTOP of the broker", Min: time.Second, Max: 6 * time.Second},
		func(w *World, _ int) string {
			return w.freeze(w.Members[0])
		},
		func(w *World, _ int) { w.thaw(w.Members[0]) }},
	{schedule.Kind{Name: "reset of every connection", Weight: 3},
		func(w *World, _ int) string {
			w.cut(w.Links[0])
			return fmt.Sprintf("of %d connections so far", w.Links[0].Connections())
		}, nil},
	{schedule.Kind{Name: "black hole", Min: 2 * time.Second, Max: 6 * time.Second, Weight: 2},
		func(w *World, _ int) string {
			w.Links[0].BlackHole()
			w.await("bytes are swallowed", 10*time.Second, func() bool { return w.Links[0].Swallowed() > 0 })
			return fmt.Sprintf("%d bytes swallowed so far", w.Links[0].Swallowed())
		}, heal},
	{schedule.Kind{Name: "latency", Min: 2 * time.Second, Max: 5 * time.Second},
		func(w *World, _ int) string {
			w.Links[0].Latency(200*time.Millisecond, 100*time.Millisecond)
			return "200 ms each way"
		}, heal},
	{schedule.Kind{Name: "cut within a frame"},
		func(w *World, _ int) string {
			before := w.Links[0].CutConnections()
			w.Links[0].CutAfter(777)
			w.await("a connection is cut", 10*time.Second, func() bool { return w.Links[0].CutConnections() > before })
			return "777 bytes later"
		}, heal},
	{schedule.Kind{Name: "memory alarm", Min: time.Second, Max: 4 * time.Second},
		func(w *World, _ int) string { return w.raise(memoryOn) },
		func(w *World, _ int) { w.call("%s", memoryOff) }},
	{schedule.Kind{Name: "kill -9 of a sidecar", Targets: 2, Weight: 2},
		func(w *World, target int) string {
			s := w.both(target)
			s.Kill()
			return s.name + " is dead"
		},
		func(w *World, target int) { w.again(w.both(target)); w.both(target).AwaitReady() }},
	{schedule.Kind{Name: "SIGTERM of a sidecar", Targets: 2},
		func(w *World, target int) string {
			s := w.both(target)
			s.Signal(syscall.SIGTERM)
			s.AwaitExit(15 * time.Second)
			return s.name + " has drained"
		},
		func(w *World, target int) { w.again(w.both(target)); w.both(target).AwaitReady() }},
	{schedule.Kind{Name: "kill -9 of the control plane", Min: time.Second, Max: 4 * time.Second},
		func(w *World, _ int) string {
			w.plane.Kill()
			return "it is dead"
		},
		func(w *World, _ int) { w.plane = w.Mesh.StartControlPlane() }},
}

// heal removes every disturbance from the link.
func heal(w *World, _ int) { w.Links[0].Heal() }
