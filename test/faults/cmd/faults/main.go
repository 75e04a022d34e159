// Command faults runs the fault matrix against the built product and real RabbitMQ
// nodes, and prints the results.
//
//	go run -C test ./faults/cmd/faults -report ../docs/faults.md
//	go run -C test ./faults/cmd/faults -rows 1,8,13-15 -v
//	go run -C test ./faults/cmd/faults -soak 10m -seed 7
//
// It exits with 1 when an invariant was broken. It leaves no process behind in any
// case, not even after a signal.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/faults"
	"github.com/warrenmesh/warren/test/faults/hostile"
	"github.com/warrenmesh/warren/test/faults/rig"
	"github.com/warrenmesh/warren/test/faults/soak"
)

type flags struct {
	rows   string
	short  bool
	soak   time.Duration
	seed   uint64
	rate   float64
	slow   float64
	report string
	dir    string
	v      bool
	keep   bool

	// attack and its target are for the process that row 45 starts.
	attack string
	target hostile.Target
}

func main() {
	var f flags
	flag.StringVar(&f.rows, "rows", "", "rows to run, as 1,8,13-15; all of the set when empty")
	flag.BoolVar(&f.short, "short", false, "run the short set: every kind, each shorter")
	flag.DurationVar(&f.soak, "soak", 0, "run random faults for so long instead of the rows")
	flag.Uint64Var(&f.seed, "seed", 0, "seed of what is random; 0 draws one")
	flag.Float64Var(&f.rate, "rate", 1, "factor of every load's rate")
	flag.Float64Var(&f.slow, "slow", 1, "factor of the bounds of time, for a busy machine")
	flag.StringVar(&f.report, "report", "", "page to write")
	flag.StringVar(&f.dir, "dir", ".run/faults", "where the nodes keep their data and failed runs their history")
	flag.BoolVar(&f.v, "v", false, "tell what each scenario does")
	flag.BoolVar(&f.keep, "keep", false, "keep the history of runs that passed, too")
	flag.StringVar(&f.attack, "attack", "", "make only the attack of that name on a sidecar; row 45 does")
	flag.StringVar(&f.target.Events, "events", "", "host:port of the event API that is attacked")
	flag.StringVar(&f.target.Status, "status", "", "host:port of the probes that are attacked")
	flag.Parse()
	if f.attack != "" {
		os.Exit(attack(f))
	}
	os.Exit(run(f))
}

// attack returns the exit code: 1 when the sidecar did not behave as it should.
func attack(f flags) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	f.target.Short = f.short
	proof, err := hostile.Run(ctx, f.attack, f.target)
	if err != nil {
		say(os.Stderr, err.Error())
		return 1
	}
	say(os.Stdout, proof)
	return 0
}

// run returns the exit code.
func run(f flags) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	if f.seed == 0 {
		f.seed = rand.Uint64N(1 << 32)
	}
	o := faults.Options{
		Dir: f.dir, Want: localbroker.WantFrom(os.Getenv), Scale: f.rate, Slow: f.slow, Seed: f.seed, Short: f.short, Keep: f.keep,
		Report: func(line string) { say(os.Stderr, line) },
	}
	if f.v {
		o.Verbose = os.Stderr
	}
	scenarios, err := choose(f)
	if err == nil {
		err = play(ctx, f, o, scenarios)
	}
	switch {
	case errors.Is(err, errBroken):
		return 1
	case err != nil:
		say(os.Stderr, "faults: "+err.Error())
		return 1
	}
	return 0
}

// choose returns the scenarios that the flags select.
func choose(f flags) ([]rig.Scenario, error) {
	if f.soak > 0 {
		return []rig.Scenario{soak.Scenario(f.soak)}, nil
	}
	return faults.Select(f.rows, f.short)
}

func say(w io.Writer, line string) { _, _ = fmt.Fprintln(w, line) }
