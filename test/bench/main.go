// Command bench measures what Warren costs. It sends the same load straight to RabbitMQ
// with amqp091-go and through sidecars, in turns, on the broker that AMQP_URL names. It
// prints tables, and the ratios as its last lines: quorum queues, then classic queues.
//
//	make bench-quick
//	go run -C test ./withbroker -- ../.run/bench/bench -workloads stream -rounds 9
//
// The exit code is 0 when the books balance: every message was confirmed and received
// once. That the figures are good is not asked. Lines that begin with "void:" name
// workloads whose figures must not be quoted. It is 1 when there are no figures:
// something failed, or messages were lost or repeated. README.md describes the method.
//
// The rooms are internal/measure, which measures one phase and keeps the books; its
// targets internal/lib, internal/mesh and internal/dapr, which get their messages from
// internal/load; and internal/proc and internal/stat. The program opens the targets,
// compares them in rounds and prints.
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

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/bench/internal/proc"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
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
	o.url, o.want = url, localbroker.WantFrom(os.Getenv)
	if err := measureAll(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "bench:", err)
		return exitFailed
	}
	return 0
}

// measureAll runs what the options ask for and prints it.
func measureAll(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	s, err := openSession(o, o.url, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	switch {
	case len(o.curves) > 0:
		points, err := s.runCurves(ctx)
		printCurves(stdout, points)
		return err
	case o.profiles != "":
		for _, p := range o.plans {
			if err := s.takeProfiles(ctx, p); err != nil {
				return err
			}
		}
		return nil
	}
	emptyCall := proc.EmptyCall()
	var outcomes []outcome
	for _, p := range o.plans {
		o, err := s.compare(ctx, p)
		if err != nil {
			return err
		}
		outcomes = append(outcomes, o)
	}
	printAll(stdout, outcomes, emptyCall, s.meter.Known())
	return nil
}
