package rig

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/internal/product"
)

// Scenario is one row of the matrix.
type Scenario struct {
	// Row is its number in the matrix.
	Row  int
	Name string
	// Fault describes the injected fault, for the page.
	Fault string
	// Holds says what must hold in addition to the invariants, for the page; "" for
	// nothing.
	Holds string
	// Nodes is the number of RabbitMQ nodes: 1 or 3.
	Nodes int
	// Short scenarios are in the short set.
	Short bool
	// Quick scenarios are run by make test.
	Quick bool
	// Patience bounds the run. 0 means four minutes.
	Patience time.Duration
	// Run injects the fault, heals it and finishes. It returns what must hold.
	Run func(w *World) check.Expect
}

// Place is where a scenario is played, and with which settings.
type Place struct {
	// Dir is where a scenario may keep files.
	Dir      string
	Programs product.Programs
	// Members are the running RabbitMQ nodes.
	Members []*localbroker.Member
	// Scale multiplies the rate of the load, and Slow the time bounds.
	Scale, Slow float64
	// Short lowers the number of repetitions.
	Short bool
	// Race says that the programs have the race detector. Their memory is not judged.
	Race bool
	// Seed of everything random.
	Seed uint64
	// Report is called with progress lines for people. It must not be nil.
	Report func(line string)
	// Verbose receives the log; nil means that nobody reads it.
	Verbose io.Writer
}

// Played is a scenario that has ended.
type Played struct {
	Run    *history.Run
	Expect check.Expect // with the time bounds of the place
	// Failures lists the failures besides broken invariants.
	Failures []string
	// Faults lists the injected faults, each with its proof.
	Faults []string
	Log    []byte
}

// Play plays the scenario in a world of its own. It returns when the scenario has
// ended, or earlier when ctx ends.
func (s Scenario) Play(ctx context.Context, p Place) *Played {
	patience := s.Patience
	if patience == 0 {
		patience = 4 * time.Minute
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t := &trial{ctx: limited, verbose: p.Verbose}
	w := &World{
		trial: t, Report: p.Report, Dir: p.Dir, Scenario: s, Members: p.Members, Programs: p.Programs, scale: p.Scale, Seed: p.Seed, Slow: p.Slow, Short: p.Short, Race: p.Race,
		Recorder:  history.New(s.Name, p.Seed),
		Namespace: fmt.Sprintf("row%d-%s", s.Row, strings.ToLower(rand.Text()[:6])),
	}
	var expect check.Expect
	failures := t.run(func() { expect = s.Run(w) })
	if p.Race {
		expect.Growth.Memory, expect.Growth.PeakMemory = 0, 0
	}
	return &Played{Run: w.Recorder.Run(), Expect: patient(expect, p.Slow), Failures: failures, Faults: w.proofs(), Log: t.log.Bytes()}
}

// Disturbance is a fault that was injected.
type Disturbance struct {
	// Fault is the record of it.
	Fault history.Fault

	w *World
}

// Disturb injects a fault while something is in flight, and records the proof that it
// took effect. Heal ends the fault.
func (w *World) Disturb(name string, inject func() (proof string)) *Disturbance {
	w.Helper()
	w.faults++
	d := &Disturbance{w: w, Fault: history.Fault{Name: name}}
	// The number in flight changes from moment to moment. Wait for a moment in which
	// something is in flight, so that the fault affects it.
	w.Within(2*time.Second, func() bool { return w.Recorder.OpenCalls() > 0 })
	d.Fault.Injected, d.Fault.InFlight = w.Recorder.Now(), w.Recorder.OpenCalls()+w.Recorder.OpenDeliveries()
	d.Fault.Proof = inject()
	w.Logf("%s: %s; %d in flight", name, d.Fault.Proof, d.Fault.InFlight)
	return d
}

// Heal undoes the fault and records the end: service must recover from the moment when
// undo returns. A nil undo means that the service must recover while the fault lasts.
func (d *Disturbance) Heal(undo func()) {
	d.w.Helper()
	if undo != nil {
		undo()
	}
	d.Fault.Healed = d.w.Recorder.Now()
	d.w.Recorder.Fault(d.Fault)
}

// proofs describes the faults and their proofs.
func (w *World) proofs() []string {
	var out []string
	for _, f := range w.Recorder.Run().Faults {
		out = append(out, fmt.Sprintf("%s: %s; %d in flight", f.Name, f.Proof, f.InFlight))
	}
	return out
}

// Prove adds to a proof a value that is only known later, even after Heal. It adds
// nothing to a fault without a proof.
func (d *Disturbance) Prove(more string) {
	if d.Fault.Proof != "" {
		d.Fault.Proof += "; " + more
		d.w.Recorder.Prove(d.Fault)
	}
}
