// Package soak injects random faults for as long as it is told to.
//
// Scenario is the soak as a scenario, which a faults.Runner runs like a row. Its parts:
//
//   - soak.go: the scenario
//   - kinds.go: the faults that may be drawn
//   - schedule.go: which fault is drawn when, from a seed. It is pure: it injects
//     nothing, and the same seed gives the same steps on every machine.
//
// It imports the rig, and room stranger for the messages of other programs.
package soak

import (
	"fmt"
	"strings"
	"time"

	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/rig"
	"github.com/warrenmesh/warren/test/faults/rows/stranger"
)

// Scenario returns a scenario that injects random faults for d. The runner's seed
// determines the schedule: the same seed repeats it.
func Scenario(d time.Duration) rig.Scenario {
	return rig.Scenario{Name: "soak", Fault: "The rig injects random faults", Nodes: 1, Patience: d + 10*time.Minute, Run: func(w *rig.World) check.Expect { return soak(w, d) }}
}

func soak(w *rig.World, d time.Duration) check.Expect {
	kinds, byName := []Kind{}, map[string]drawn{}
	for _, k := range soakKinds {
		kinds = append(kinds, k.Kind)
		byName[k.Name] = k
	}
	steps := Generate(w.Seed, d, kinds)
	var plan strings.Builder
	Print(&plan, w.Seed, steps)
	w.Report(strings.TrimSpace(plan.String()))
	var others stranger.Counter
	w.Start(rig.Setup{Links: 1, Load: func(m *rig.Mix) { m.Beside = others.Beside }})
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
	e.Reasons = rig.PolicyReasons
	return e
}
