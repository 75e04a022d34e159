// Command streams measures what a change of configuration costs a control plane with many
// sidecars: from the write of a file to the last acknowledgement. The control plane is
// the real one, in a process of its own; the sidecars are delta streams over loopback
// TCP, each with a connection, that decode every resource and acknowledge it. No broker
// is needed.
//
//	make bench-xds
//	.run/bench/bench-xds -streams 1000 -changes 30
//
// For each number of streams the last line is
//
//	xds: <n> streams all_p99 <ms> ten_p99 <ms> mem_per_stream <KB> reconnect_bytes <n>
//
// With -reports it measures the reports of sidecars instead, and the line is
//
//	reports: <n> sidecars cores <n> reports_per_second <n> mem_per_sidecar <KB> heap_mb <MB>
//
// The method is in ../README.md. The exit code is 0 when there are figures, whatever
// they are; 1 when a stream ended, an acknowledgement did not come, or time ran out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// options of a run.
type options struct {
	streams []int
	changes int           // of each kind
	pause   time.Duration // between changes
	objects int           // of the run with many objects; 0 leaves it out
	limit   time.Duration // of everything
	// reporting is how long reports are measured, instead of changes; 0 measures changes.
	reporting time.Duration
	profile   string // file for a CPU profile of the control plane while files change
	quiet     bool   // no progress
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if len(args) > 0 && args[0] == "serve" {
		return exit(stderr, serve(ctx, args[1:], stdin, stdout))
	}
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "xds:", err)
		return 2
	}
	ctx, stop := context.WithTimeout(ctx, o.limit)
	defer stop()
	return exit(stderr, (&bench{options: o, out: stdout, progress: stderr}).run(ctx))
}

func exit(stderr io.Writer, err error) int {
	if err != nil {
		fmt.Fprintln(stderr, "xds:", err)
		return 1
	}
	return 0
}

const help = `Measure how fast the control plane brings a change to many sidecars.

Usage: xds [flags]

For each number of streams it writes files, waits for the last acknowledgement, and
prints one line:

  xds: <n> streams all_p99 <ms> ten_p99 <ms> mem_per_stream <KB> reconnect_bytes <n>

  all_p99          from the write of one route that all streams use to the last ACK
  ten_p99          the same of a route that ten of them use
  mem_per_stream   heap and stack that a stream takes in the control plane after the
                   changes, above what it takes of a server that only receives
  reconnect_bytes  bytes of resources sent when all streams come back and nothing changed

Flags:
`

// parse reads the command line.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("xds", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, help)
		flags.PrintDefaults()
	}
	streams := flags.String("streams", "1000,5000,10000", "comma-separated `numbers` of streams to measure with")
	flags.IntVar(&o.changes, "changes", 20, "`number` of changes of each kind")
	flags.DurationVar(&o.pause, "pause", 300*time.Millisecond, "`time` between two changes")
	flags.IntVar(&o.objects, "objects", 5000, "declared `objects` of the run with one stream; 0 leaves it out")
	flags.DurationVar(&o.limit, "limit", 9*time.Minute, "`time` after which the run fails")
	flags.DurationVar(&o.reporting, "reports", 0, "measure the reports of as many sidecars for this `time`, instead of changes")
	flags.StringVar(&o.profile, "profile", "", "`file` for a CPU profile of the control plane while files change, of the last run")
	flags.BoolVar(&o.quiet, "quiet", false, "print no progress")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for word := range strings.SplitSeq(*streams, ",") {
		n, err := strconv.Atoi(word)
		if err != nil || n < users || n%users != 0 {
			return o, fmt.Errorf("-streams: %q is no multiple of %d", word, users)
		}
		o.streams = append(o.streams, n)
	}
	if o.reporting < 0 || o.reporting%reportEvery != 0 {
		return o, fmt.Errorf("-reports: %s is no multiple of %s", o.reporting, reportEvery)
	}
	if o.changes < 1 || flags.NArg() > 0 {
		return o, errors.New("want -changes of at least 1 and no arguments; -help lists the flags")
	}
	return o, nil
}
