package faults

import (
	"fmt"
	"strings"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/schedule"
)

// Soak is a scenario that injects random faults for d. The rig's seed determines the
// schedule: the same seed repeats it.
func Soak(d time.Duration) Scenario {
	return Scenario{Name: "soak", Fault: "random faults", Nodes: 1, Patience: d + 10*time.Minute, Run: func(w *World) check.Expect { return soak(w, d) }}
}

func soak(w *World, d time.Duration) check.Expect {
	kinds, byName := []schedule.Kind{}, map[string]drawn{}
	for _, k := range soakKinds {
		kinds = append(kinds, k.Kind)
		byName[k.Name] = k
	}
	steps := schedule.Generate(w.Seed, d, kinds)
	var plan strings.Builder
	schedule.Print(&plan, w.Seed, steps)
	w.Report(strings.TrimSpace(plan.String()))
	var others Strangers
	w.Start(Setup{Links: 1, Load: func(m *Mix) { m.Beside = others.Beside }})
	w.Cleanup(func() { w.ClearPolicy(soakPolicy) })
	began := time.Now()
	for i, s := range steps {
		w.Keep(max(0, s.At-time.Since(began)))
		k := byName[s.Kind]
		fault := w.Disturb(s.Kind, func() string { return k.inject(w, s.Target) })
		w.Keep(s.Lasts)
		fault.Heal(func() {
			if k.undo != nil {
				k.undo(w, s.Target)
			}
		})
		w.Report(fmt.Sprintf("%3d/%d %v: %s; %d confirmed so far", i+1, len(steps), s, fault.Fault.Proof, w.Recorder.Confirmed()))
	}
	w.Keep(max(0, d-time.Since(began)))
	w.AwaitOK(200)
	w.Finish()
	w.Drained()
	e := w.Expect()
	e.MaxRecovery = 12 * time.Second
	e.Reasons = PolicyReasons
	return e
}
