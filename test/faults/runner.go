package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/history"
	"github.com/warrenmesh/warren/test/faults/rig"
	"github.com/warrenmesh/warren/test/internal/product"
)

// Options configures a Runner.
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
	Scenario rig.Scenario
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

// Runner runs scenarios, one at a time.
type Runner struct {
	options  Options
	programs product.Programs
	cluster  *localbroker.Cluster // the running cluster; nil when there is none
}

// New builds the programs under test. It starts no broker.
func New(ctx context.Context, o Options) (*Runner, error) {
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
	return &Runner{options: o, programs: programs}, nil
}

// Close ends every process of the runner.
func (r *Runner) Close() {
	if r.cluster != nil {
		r.cluster.Stop()
		r.cluster = nil
	}
}

// need makes sure that a healthy cluster of n nodes is the only one that runs.
func (r *Runner) need(ctx context.Context, n int) error {
	if r.cluster != nil && len(r.cluster.Members) == n && healthy(ctx, r.cluster) {
		return nil
	}
	r.Close()
	c, err := localbroker.StartCluster(ctx, localbroker.Options{Dir: filepath.Join(r.options.Dir, fmt.Sprintf("nodes%d", n)), BootTimeout: rig.BootTime, Want: r.options.Want, Report: r.options.Report}, n)
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

// Run runs one scenario. The error is an error of the runner or of ctx; failures of the
// scenario are in the result.
func (r *Runner) Run(ctx context.Context, s rig.Scenario) (*Result, error) {
	if err := r.need(ctx, s.Nodes); err != nil {
		return nil, fmt.Errorf("get %d RabbitMQ nodes: %w", s.Nodes, err)
	}
	began := time.Now()
	played := s.Play(ctx, rig.Place{
		Dir: r.options.Dir, Programs: r.programs, Members: r.cluster.Members,
		Scale: r.options.Scale, Slow: r.options.Slow, Short: r.options.Short, Race: r.options.Race, Seed: r.options.Seed,
		Report: r.options.Report, Verbose: r.options.Verbose,
	})
	out := &Result{Scenario: s, Failures: played.Failures, Faults: played.Faults, Took: time.Since(began)}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out.Report = check.Check(played.Run, played.Expect)
	if !out.Passed() || r.options.Keep {
		out.History = filepath.Join(r.options.Dir, s.Name+".jsonl")
		out.Failures = append(out.Failures, save(played.Run, out.History)...)
		out.Log = filepath.Join(r.options.Dir, s.Name+".log")
		if err := os.WriteFile(out.Log, played.Log, 0o600); err != nil {
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
