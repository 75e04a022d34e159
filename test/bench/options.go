package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options of a comparison.
type options struct {
	sidecar, before, controlplane string
	url                           string // of the broker
	socket                        string // unix or tcp
	queue                         string // classic or quorum
	rounds                        int
	repeats                       int           // at most so many disturbed rounds of a workload are measured again
	measured                      time.Duration // of a publishing phase
	warmup                        time.Duration // before it
	drain                         int           // messages
	prefetch                      int
	workloads                     []workload
	profiles                      string // directory; "" means none are taken
	budget                        time.Duration
}

// presets differ in how long they take.
var presets = map[bool]options{
	true: { // quick
		rounds: 5, measured: 1200 * time.Millisecond, warmup: 250 * time.Millisecond, drain: 15_000, budget: 85 * time.Second,
		workloads: []workload{unary64, stream, drain, endToEnd},
	},
	false: {
		rounds: 7, measured: 4 * time.Second, warmup: time.Second, drain: 60_000, budget: 20 * time.Minute,
		workloads: []workload{unary1, unary16, unary64, stream, drain, endToEnd},
	},
}

// parse reads the command line. Flags override the preset of -quick or of its absence.
func parse(args []string, stderr io.Writer) (options, error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "measure the four workloads of the last line, shortly")
	sidecar := flags.String("sidecar", ".run/bench/sidecar", "`path` of the sidecar to measure")
	before := flags.String("before", "", "`path` of another sidecar to measure in the same rounds")
	controlplane := flags.String("controlplane", ".run/bench/controlplane", "`path` of the control plane")
	socket := flags.String("socket", "unix", "how services reach their sidecar: unix or tcp")
	queue := flags.String("queue", "classic", "type of the queues: classic or quorum")
	rounds := flags.Int("rounds", 0, "rounds of each workload (default 7, 5 with -quick)")
	repeats := flags.Int("repeats", 3, "how many disturbed rounds of a workload are measured again")
	seconds := flags.Float64("seconds", 0, "measured seconds of a publishing phase (default 4, 1.2 with -quick)")
	messages := flags.Int("drain", 0, "messages of a drain (default 60000, 15000 with -quick)")
	workloads := flags.String("workloads", "", "comma-separated names out of unary1, unary16, unary64, stream, drain, e2e")
	profiles := flags.String("profile", "", "`directory` for CPU profiles of the sidecars, taken instead of figures")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	o := presets[*quick]
	o.sidecar, o.before, o.controlplane, o.socket, o.queue, o.profiles = *sidecar, *before, *controlplane, *socket, *queue, *profiles
	o.prefetch, o.repeats = 256, *repeats
	if *rounds > 0 {
		o.rounds = *rounds
	}
	if *seconds > 0 {
		o.measured = time.Duration(*seconds * float64(time.Second))
		o.warmup = min(o.warmup, o.measured)
	}
	if *messages > 0 {
		o.drain = *messages
	}
	return o, o.choose(*workloads)
}

// choose selects the workloads, and checks the flags that have few allowed values.
func (o *options) choose(names string) error {
	if !slices.Contains([]string{"unix", "tcp"}, o.socket) {
		return fmt.Errorf("-socket is %q, want unix or tcp", o.socket)
	}
	if !slices.Contains([]string{"classic", "quorum"}, o.queue) {
		return fmt.Errorf("-queue is %q, want classic or quorum", o.queue)
	}
	if names == "" {
		return nil
	}
	o.workloads = nil
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(allWorkloads, func(w workload) bool { return w.name == name })
		if i < 0 {
			return fmt.Errorf("-workloads: there is no %q", name)
		}
		o.workloads = append(o.workloads, allWorkloads[i])
	}
	return nil
}
