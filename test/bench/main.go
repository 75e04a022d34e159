// Command bench measures what Warren costs. It sends the same load straight to RabbitMQ
// with amqp091-go and through a sidecar, in turns, on the broker that AMQP_URL names.
// It prints a table, and the ratios as its last line.
//
//	make bench-quick
//	go run -C test ./withbroker -- ../.run/bench/bench -workloads stream -rounds 9
//
// The exit code is 0 when the figures are valid. It is 3 when the run is void: lines
// that begin with "void:" say why, and the figures must not be quoted. It is 1 when
// there are no figures: something failed, or messages were lost or repeated. README.md
// describes the method.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
	exitVoid   = 3
)

func main() { os.Exit(run(os.Args[1:], os.Getenv("AMQP_URL"), os.Stdout, os.Stderr)) }

func run(args []string, url string, stdout, stderr io.Writer) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil && url == "" {
		err = errors.New("AMQP_URL is not set: `make bench` sets it, or `go run -C test ./withbroker -- ../.run/bench/bench`")
	}
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return exitUsage
	}
	o.url = url
	r := &runner{opts: o, say: stderr}
	results, err := r.all(ctx)
	if err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return exitFailed
	}
	if o.profiles != "" {
		return 0
	}
	return r.print(stdout, results)
}

// all opens the targets, runs the comparison and closes the targets.
func (r *runner) all(ctx context.Context) (results []*result, err error) {
	if err = r.open(ctx); err == nil {
		results, err = r.run(ctx)
	}
	return results, errors.Join(err, r.close())
}

// print writes the figures and returns the exit code.
func (r *runner) print(stdout io.Writer, results []*result) int {
	table(stdout, results, r.targets)
	for _, res := range results {
		if res.repeated > 0 {
			fmt.Fprintf(stdout, "%s: %d disturbed rounds were measured again\n", res.workload.name, res.repeated)
		}
	}
	if r.phases.meter.broker == 0 {
		fmt.Fprintln(stdout, "the broker is not a process of this machine: its CPU and that of others are unknown")
	}
	void := faults(results, r.opts.queue)
	for _, reason := range void {
		fmt.Fprintln(stdout, "void:", reason)
	}
	if r.opts.before != "" {
		changes(stdout, results)
		fmt.Fprintln(stdout, line(results, beforeName))
	}
	fmt.Fprintln(stdout, line(results, warrenName))
	if len(void) > 0 {
		return exitVoid
	}
	return 0
}
