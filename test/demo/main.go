// Command demo is `make demo`: the whole product on one machine. It starts a broker,
// the control plane and four services with a sidecar each. It sends orders through
// them, edits the configuration meanwhile, and checks that no event was lost.
//
// The last line is "demo: <n> published, <n> confirmed, <n> delivered, <n> lost",
// counted from the journals that the services write. The exit code is 0 only when the
// books balance and every step showed what it should.
//
//	demo                 # 4000 orders, then everything is stopped
//	KEEP=1 demo          # leaves everything up until Ctrl-C
//	demo --embedded      # without RabbitMQ: one process, nothing durable
//
// demo.go is a run from its beginning to its end. Its steps: prepare.go (broker, binaries,
// configuration), mesh.go and program.go (the processes), acts.go (what happens while
// orders flow), report.go and traces.go (what the run shows). Package shop has the shop's
// files, services and journals. The books and the spans are those of examples/shop.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker"
	"github.com/warrenmesh/warren/test/demo/shop"
)

// errInterrupted ends a run on the first Ctrl-C.
var errInterrupted = errors.New("interrupted")

func main() { os.Exit(run()) }

func run() int {
	var o options
	flag.IntVar(&o.orders, "orders", 4000, "orders to place; checkout places more while the steps of the demo take longer")
	flag.Float64Var(&o.rate, "rate", 400, "orders per second; 0 means as fast as they are confirmed")
	flag.BoolVar(&o.embedded, "embedded", false, "use the in-process broker, without looking for another")
	flag.DurationVar(&o.stall, "stall", 90*time.Second, "give up after so long without any progress")
	flag.Parse()
	o.keep = os.Getenv("KEEP") == "1"

	root, err := shop.FindRoot()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 2
	}
	files := shop.Files{Root: root, Run: filepath.Join(root, ".run")}
	o.broker = localbroker.Options{URL: os.Getenv("AMQP_URL"), Want: localbroker.WantFrom(os.Getenv), Dir: filepath.Join(files.Run, "rabbitmq")}
	d := newDemo(o, files, newScreen(os.Stdout))
	ctx, stop := interruptible(d.kill)
	defer stop()
	if err := d.run(ctx); err != nil {
		if errors.Is(context.Cause(ctx), errInterrupted) {
			fmt.Fprintln(os.Stderr, "demo: interrupted; everything is stopped")
			return 130
		}
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}

// interruptible returns a context that the first SIGINT or SIGTERM ends. The second one
// calls kill and ends the process at once.
func interruptible(kill func()) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() { // stop ends it
		for n := 0; ; n++ {
			select {
			case <-signals:
			case <-ended:
				return
			}
			if n > 0 {
				kill()
				os.Exit(130)
			}
			cancel(errInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(ended)
		cancel(nil)
	}
}
