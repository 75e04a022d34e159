// Command report runs "go test -json" with its arguments and prints a readable report.
// It prints a line for each package as it ends, the output of failures, and the lines
// of the broker conformance suite. At the end it prints go test's own lines and the
// number of tests. With -require TEXT it also fails when no line of output begins with
// TEXT, so that a suite that did not run is a failure.
//
//	go run -C test ./report -require 'brokertest: rabbit' -- -race ./...
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	require := flag.String("require", "", "fail unless a line of output begins with this text")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, *require, flag.Args())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, require string, args []string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...) //nolint:gosec // the arguments are those of the caller
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	r := newReport(out, require)
	readErr := r.read(pipe)
	return errors.Join(readErr, cmd.Wait(), r.finish())
}

// event is one line of go test -json (see "go doc test2json").
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// report collects the output.
type report struct {
	out      io.Writer
	begin    time.Time
	require  string
	found    bool
	output   map[string][]string // of tests and packages that are still running
	last     []string            // go test's last lines
	packages int
	counts   map[string]int // tests by result
}

func newReport(out io.Writer, require string) *report {
	return &report{out: out, begin: time.Now(), require: require, output: map[string][]string{}, counts: map[string]int{}}
}

func (r *report) read(in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(r.out, lines.Text()) // not an event but a build error
			continue
		}
		r.take(e)
	}
	return lines.Err()
}

func (r *report) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		r.line(e, key)
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "pass", "fail", "skip":
		r.ended(e, key)
	}
}

func (r *report) line(e event, key string) {
	text := strings.TrimRight(e.Output, "\n")
	if r.require != "" && strings.HasPrefix(text, r.require) {
		r.found = true
	}
	if strings.HasPrefix(text, "brokertest: ") || strings.HasPrefix(text, "queueingtest: ") {
		fmt.Fprintln(r.out, text)
	}
	if e.Test == "" && (strings.HasPrefix(text, "ok  \t") || strings.HasPrefix(text, "FAIL\t") || strings.HasPrefix(text, "?   \t")) {
		r.last = append(r.last, text)
	}
	r.output[key] = append(r.output[key], e.Output)
}

func (r *report) ended(e event, key string) {
	if e.Test != "" {
		r.counts[e.Action]++
	} else {
		r.packages++
		outcome := e.Action
		if outcome == "skip" {
			outcome = "none" // a package without tests
		}
		fmt.Fprintf(r.out, "%6.1fs %4d  %-4s %s (%.1fs)\n", time.Since(r.begin).Seconds(), r.packages, outcome, e.Package, e.Elapsed)
	}
	if e.Action == "fail" || (e.Action == "skip" && e.Test != "") {
		fmt.Fprint(r.out, strings.Join(r.output[key], ""))
	}
	delete(r.output, key)
}

// finish prints the last lines. It returns an error when the required line is missing.
func (r *report) finish() error {
	fmt.Fprintf(r.out, "\n%s\n%d passed, %d failed, %d skipped\n", strings.Join(r.last, "\n"), r.counts["pass"], r.counts["fail"], r.counts["skip"])
	if r.require != "" && !r.found {
		return fmt.Errorf("no line of output began with %q: that suite did not run", r.require)
	}
	return nil
}
