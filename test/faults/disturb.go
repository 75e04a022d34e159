package faults

import (
	"fmt"
	"time"

	"github.com/warrenmesh/warren/test/faults/history"
)

// disturbance is a fault under way.
type disturbance struct {
	w     *World
	fault history.Fault
}

// disturb injects a fault while something is in flight, and keeps the proof that it
// took hold. heal ends it.
func (w *World) disturb(name string, inject func() (proof string)) *disturbance {
	w.Helper()
	w.faults++
	d := &disturbance{w: w, fault: history.Fault{Name: name}}
	// What is in flight changes from moment to moment; the fault waits for one in
	// which something is, so that it hits.
	w.within(2*time.Second, func() bool { return w.Recorder.OpenCalls() > 0 })
	d.fault.Injected, d.fault.InFlight = w.Recorder.Now(), w.Recorder.OpenCalls()+w.Recorder.OpenDeliveries()
	d.fault.Proof = inject()
	w.Logf("%s: %s; %d in flight", name, d.fault.Proof, d.fault.InFlight)
	return d
}

// heal undoes the fault and records it: from the moment undo returns, service is due
// again. A nil undo means that the fault is to be survived while it lasts.
func (d *disturbance) heal(undo func()) {
	d.w.Helper()
	if undo != nil {
		undo()
	}
	d.fault.Healed = d.w.Recorder.Now()
	d.w.Recorder.Fault(d.fault)
}

// proofs are the faults in words.
func (w *World) proofs() []string {
	var out []string
	for _, f := range w.Recorder.Run().Faults {
		out = append(out, fmt.Sprintf("%s: %s; %d in flight", f.Name, f.Proof, f.InFlight))
	}
	return out
}

// prove adds to a proof what only shows while the fault lasts, also after heal. Where
// there is none, it is no proof either.
func (d *disturbance) prove(more string) {
	if d.fault.Proof != "" {
		d.fault.Proof += "; " + more
		d.w.Recorder.Prove(d.fault)
	}
}
