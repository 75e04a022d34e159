package faults

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/internal/product"
)

// Options configures a Rig.
type Options struct {
	// Dir is where the nodes keep their data. The histories of failed runs are saved
	// there.
	Dir string
	// Want is the RabbitMQ to run on.
	Want localbroker.Want
	// Scale multiplies the rate of every load; 0 means 1.
	Scale float64
	// Slow multiplies the time bounds; 0 means 1.
	Slow float64
	// Short lowers the number of repetitions in scenarios.
	Short bool
	// Race runs programs with the race detector. Their memory is not judged, because
	// most of it belongs to the detector.
	Race bool
	// Seed of everything random.
	Seed uint64
	// Report is called with progress lines for people. nil reports nothing.
	Report func(line string)
	// Keep also saves the history of runs that passed.
	Keep bool
	// Verbose receives the log of the scenarios; nil means that nobody reads it.
	Verbose io.Writer
}

// Result is the result of one scenario.
type Result struct {
	Scenario Scenario
	Report   *check.Report
	// Failures lists the failures besides broken invariants.
	Failures []string
	Took     time.Duration
	// Faults lists the injected faults, each with its proof.
	Faults []string
	// History is the file with all records; "" when it was not saved.
	History string
	// Log is the file with the log of the scenario and, if it failed, the last lines of
	// its programs. It is saved with the history.
	Log string
}

// Passed reports whether every invariant held and nothing else failed.
func (r *Result) Passed() bool { return len(r.Failures) == 0 && r.Report.Passed() }

// Rig runs scenarios, one at a time.
type Rig struct {
	options  Options
	programs product.Programs
	cluster  *localbroker.Cluster // the running cluster; nil when there is none
}

// New builds the programs under test. It starts no broker.
func New(ctx context.Context, o Options) (*Rig, error) {
	if o.Scale == 0 {
		o.Scale = 1
	}
	if o.Slow == 0 {
		o.Slow = 1
	}
	if o.Report == nil {
		o.Report = func(string) {}
	}
	o.Report("building the sidecar and the control plane")
	build := product.BuildLean
	if o.Race {
		build = product.Build
	}
	programs, err := build(ctx)
	if err != nil {
		return nil, err
	}
	return &Rig{options: o, programs: programs}, nil
}

// Close ends every process of the rig.
func (r *Rig) Close() {
	if r.cluster != nil {
		r.cluster.Stop()
		r.cluster = nil
	}
}

// bootTime is long enough for a busy machine.
const bootTime = 4 * time.Minute

// need makes sure that a healthy cluster of n nodes is the only one that runs.
func (r *Rig) need(ctx context.Context, n int) error {
	if r.cluster != nil && len(r.cluster.Members) == n && healthy(ctx, r.cluster) {
		return nil
	}
	r.Close()
	c, err := localbroker.StartCluster(ctx, localbroker.Options{Dir: filepath.Join(r.options.Dir, fmt.Sprintf("nodes%d", n)), BootTimeout: bootTime, Want: r.options.Want, Report: r.options.Report}, n)
	if err != nil {
		return err
	}
	r.cluster = c
	return nil
}

// healthy reports whether every member answers and has no alarm.
func healthy(ctx context.Context, c *localbroker.Cluster) bool {
	for _, m := range c.Members {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		alarms, err := m.Call(ctx, "{rabbit:is_running(), rabbit_alarm:get_alarms()}.")
		cancel()
		if err != nil || alarms != "{true, []}" {
			return false
		}
	}
	return true
}

// Run runs one scenario. The error is an error of the rig or of ctx; failures of the
// scenario are in the result.
func (r *Rig) Run(ctx context.Context, s Scenario) (*Result, error) {
	if err := r.need(ctx, s.Nodes); err != nil {
		return nil, fmt.Errorf("get %d RabbitMQ nodes: %w", s.Nodes, err)
	}
	began := time.Now()
	patience := s.Patience
	if patience == 0 {
		patience = 4 * time.Minute
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t := &trial{ctx: limited, verbose: r.options.Verbose}
	w := &World{
		trial: t, report: r.options.Report, dir: r.options.Dir, Scenario: s, Members: r.cluster.Members, programs: r.programs, scale: r.options.Scale, seed: r.options.Seed, slow: r.options.Slow, short: r.options.Short, race: r.options.Race,
		Recorder:  history.New(s.Name, r.options.Seed),
		namespace: fmt.Sprintf("row%d-%s", s.Row, strings.ToLower(rand.Text()[:6])),
	}
	out := &Result{Scenario: s}
	var expect check.Expect
	out.Failures = t.run(func() { expect = s.run(w) })
	out.Faults = w.proofs()
	out.Took = time.Since(began)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	run := w.Recorder.Run()
	if r.options.Race {
		expect.Growth.Memory, expect.Growth.PeakMemory = 0, 0
	}
	out.Report = check.Check(run, patient(expect, r.options.Slow))
	if !out.Passed() || r.options.Keep {
		out.History = filepath.Join(r.options.Dir, s.Name+".jsonl")
		out.Failures = append(out.Failures, save(run, out.History)...)
		out.Log = filepath.Join(r.options.Dir, s.Name+".log")
		if err := os.WriteFile(out.Log, t.log.Bytes(), 0o600); err != nil {
			out.Failures = append(out.Failures, err.Error())
		}
	}
	return out, nil
}

// save writes the records of a failed run, for finding the reason.
func save(run *history.Run, path string) (failures []string) {
	file, err := os.Create(path)
	if err == nil {
		err = errors.Join(run.Save(file), file.Close())
	}
	if err != nil {
		failures = append(failures, err.Error())
	}
	return failures
}
