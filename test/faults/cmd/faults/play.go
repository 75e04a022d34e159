package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/faults"
	"github.com/warrenmesh/warren/test/faults/check"
	"github.com/warrenmesh/warren/test/faults/rig"
)

// errBroken means that a scenario failed. The failure was printed already.
var errBroken = errors.New("an invariant was broken")

// play runs the scenarios one after the other, prints each result, and writes the page.
func play(ctx context.Context, f flags, o faults.Options, scenarios []rig.Scenario) error {
	say(os.Stdout, fmt.Sprintf("%d scenarios, seed %d", len(scenarios), o.Seed))
	runner, err := faults.New(ctx, o)
	if err != nil {
		return err
	}
	defer runner.Close()
	began := time.Now()
	var results []*faults.Result
	for i, s := range scenarios {
		result, err := runner.Run(ctx, s)
		if err != nil {
			return err
		}
		results = append(results, result)
		say(os.Stderr, progress(i+1, len(scenarios), result))
		if f.v && !result.Passed() {
			explain(os.Stderr, result)
		}
	}
	table(results, time.Since(began))
	if f.report != "" {
		page := faults.Page{Results: results, Command: command(f, o.Want), Facts: runner.Facts(ctx), Took: time.Since(began)}
		if err := write(f.report, &page); err != nil {
			return err
		}
	}
	idle := faults.IdlePaths(results)
	if f.rows == "" && f.soak == 0 && len(idle) > 0 {
		say(os.Stdout, "no event took "+strings.Join(idle, ", "))
		return errBroken
	}
	for _, r := range results {
		if !r.Passed() {
			return errBroken
		}
	}
	return nil
}

// write writes the page. Sections of other versions of RabbitMQ stay.
func write(path string, page *faults.Page) error {
	earlier, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read the earlier page: %w", err)
	}
	if err := os.WriteFile(path, []byte(page.Markdown(string(earlier))), 0o644); err != nil { //nolint:gosec // a page for every reader
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

func progress(n, of int, r *faults.Result) string {
	verdict := "ok"
	if !r.Passed() {
		verdict = "FAILED " + r.Report.Verdict()
	}
	return fmt.Sprintf("%2d/%d  row %-2d %-26s %6.1fs  %s", n, of, r.Scenario.Row, r.Scenario.Name, r.Took.Seconds(), verdict)
}

// table prints every result, and the details of each failure.
func table(results []*faults.Result, took time.Duration) {
	say(os.Stdout, check.Header())
	events, failed := 0, 0
	for _, r := range results {
		say(os.Stdout, r.Report.Line())
		events += r.Report.Events
	}
	for _, r := range results {
		if r.Passed() {
			continue
		}
		failed++
		say(os.Stdout, fmt.Sprintf("\nrow %d, %s: its history is in %s, the last words of its programs in %s", r.Scenario.Row, r.Scenario.Name, r.History, r.Log))
		explain(os.Stdout, r)
	}
	publishes, settlements := faults.Ways(results)
	say(os.Stdout, fmt.Sprintf("\npublishes: %d fast, %d slow; settlements: %d fast, %d slow", publishes.Fast, publishes.Slow, settlements.Fast, settlements.Slow))
	say(os.Stdout, fmt.Sprintf("%d scenarios, %d failed; %d events in %.0f s", len(results), failed, events, took.Seconds()))
}

// explain writes the violations and failures of a scenario.
func explain(w io.Writer, r *faults.Result) {
	r.Report.Explain(w)
	for _, f := range r.Failures {
		say(w, "    "+f)
	}
}

// command is the command line for the page. It contains the differences from make
// faults.
func command(f flags, want localbroker.Want) string {
	var version, differs string
	if want.Version != "" {
		version = " RABBITMQ=" + want.Version
	}
	if f.short {
		differs += " -short"
	}
	if f.rows != "" {
		differs += " -rows " + f.rows
	}
	if f.rate != 1 {
		differs += fmt.Sprintf(" -rate %g", f.rate)
	}
	if f.slow != 1 {
		differs += fmt.Sprintf(" -slow %g", f.slow)
	}
	if differs == "" {
		return "make faults" + version
	}
	return strings.TrimSpace(version + " go run -C test ./faults/cmd/faults" + differs)
}
