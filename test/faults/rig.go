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
	// Dir is where the nodes keep their data, and runs that failed their history.
	Dir string
	// Want is the RabbitMQ to run on.
	Want localbroker.Want
	// Scale multiplies the rate of every load; 0 means 1.
	Scale float64
	// Slow stretches what is allowed to take time; 0 means 1.
	Slow float64
	// Short makes scenarios do less often what they do many times.
	Short bool
	// Race runs programs that look for data races. Their memory, mostly the race
	// detector's, is not judged.
	Race bool
	// Seed of what is random.
	Seed uint64
	// Report is given lines for people. nil means that nobody reads them.
	Report func(line string)
	// Keep writes the history of runs that passed, too.
	Keep bool
	// Verbose gets what scenarios tell of themselves; nil means nobody.
	Verbose io.Writer
}

// Result is the result of one scenario.
type Result struct {
	Scenario Scenario
	Report   *check.Report
	// Failures are what failed besides the invariants.
	Failures []string
	Took     time.Duration
	// Faults says what was injected, each with its proof.
	Faults []string
	// History is the file with everything that was recorded, "" when it was not kept.
	History string
	// Log is the file with what the scenario and, if it failed, its programs said last;
	// kept with the history.
	Log string
}

// Passed reports whether every invariant held and nothing else failed.
func (r *Result) Passed() bool { return len(r.Failures) == 0 && r.Report.Passed() }

// Rig runs scenarios, one at a time.
type Rig struct {
	options  Options
	programs product.Programs
	cluster  *localbroker.Cluster // the one that runs, nil when none does
}

// New builds the programs under test. No broker runs yet.
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

// bootTime is for a machine that does much else.
const bootTime = 4 * time.Minute

// need makes sure that a healthy cluster of n nodes runs, and no other.
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

// healthy reports whether every member answers, without an alarm.
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

// Run runs one scenario. The error is one of the rig's, or ctx's; what the scenario
// says is in the result.
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

// save keeps the records of a failed run, so that the reason can be found.
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
