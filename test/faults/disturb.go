package faults

import (
	"fmt"
	"time"

	"github.com/warrenmesh/warren/test/faults/history"
)

// disturbance is a fault that was injected.
type disturbance struct {
	w     *World
	fault history.Fault
}

// disturb injects a fault while something is in flight, and records the proof that it
// took effect. heal ends the fault.
func (w *World) disturb(name string, inject func() (proof string)) *disturbance {
	w.Helper()
	w.faults++
	d := &disturbance{w: w, fault: history.Fault{Name: name}}
	// The number in flight changes from moment to moment. Wait for a moment in which
	// something is in flight, so that the fault affects it.
	w.within(2*time.Second, func() bool { return w.Recorder.OpenCalls() > 0 })
	d.fault.Injected, d.fault.InFlight = w.Recorder.Now(), w.Recorder.OpenCalls()+w.Recorder.OpenDeliveries()
	d.fault.Proof = inject()
	w.Logf("%s: %s; %d in flight", name, d.fault.Proof, d.fault.InFlight)
	return d
}

// heal undoes the fault and records the end: service must recover from the moment when
// undo returns. A nil undo means that the service must recover while the fault lasts.
func (d *disturbance) heal(undo func()) {
	d.w.Helper()
	if undo != nil {
		undo()
	}
	d.fault.Healed = d.w.Recorder.Now()
	d.w.Recorder.Fault(d.fault)
}

// proofs describes the faults and their proofs.
func (w *World) proofs() []string {
	var out []string
	for _, f := range w.Recorder.Run().Faults {
		out = append(out, fmt.Sprintf("%s: %s; %d in flight", f.Name, f.Proof, f.InFlight))
	}
	return out
}

// prove adds to a proof a value that is only known later, even after heal. It adds
// nothing to a fault without a proof.
func (d *disturbance) prove(more string) {
	if d.fault.Proof != "" {
		d.fault.Proof += "; " + more
		d.w.Recorder.Prove(d.fault)
	}
}
