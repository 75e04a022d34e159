// Command checkout places orders. It publishes one event for each order to the topic
// "orders" of its own sidecar. It does not know brokers, routes or canaries.
//
// All orders go through one PublishStream, with many orders in flight. Each is repeated
// with the same event id until the sidecar says that the broker confirmed it.
//
//	checkout --sidecar 127.0.0.1:17400 --count 1000 --rate 200 --journal checkout.ndjson
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/examples/shop/journal"
	"github.com/warrenmesh/warren/tracing"
)

type flags struct {
	sidecar  string
	journal  string
	run      string
	count    int
	rate     float64
	inFlight int
	open     string
}

func main() {
	var f flags
	flag.StringVar(&f.sidecar, "sidecar", "127.0.0.1:17400", "gRPC target of the service's own sidecar")
	flag.StringVar(&f.journal, "journal", "checkout.ndjson", "file that records every order")
	flag.StringVar(&f.run, "run", time.Now().UTC().Format("20060102T150405"), "prefix that makes the event ids of this run unique")
	flag.IntVar(&f.count, "count", 1000, "orders to place")
	flag.Float64Var(&f.rate, "rate", 200, "orders per second; 0 means as fast as they are confirmed")
	flag.StringVar(&f.open, "open", "", "file that keeps the shop open: orders go on beyond --count for as long as it exists")
	flag.IntVar(&f.inFlight, "in-flight", 64, "maximum of unconfirmed orders: the window of the stream")
	flag.Parse()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("service", "checkout")

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, f, log); err != nil {
		log.Error("checkout ended", "error", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, f flags, log *slog.Logger) error {
	traces, err := tracing.Setup(ctx, tracing.Options{ServiceName: "checkout", Logger: log})
	if err != nil {
		return fmt.Errorf("set up tracing: %w", err)
	}
	defer closeTraces(traces, log)
	book, err := journal.Open(f.journal)
	if err != nil {
		return err
	}
	defer func() { _ = book.Close() }()
	sidecar, err := client.Dial(f.sidecar, grpc.WithStatsHandler(traces.ClientHandler()))
	if err != nil {
		return err
	}
	defer func() { _ = sidecar.Close() }()

	pipeline := &client.Pipeline{Client: sidecar, Lost: func(err error, again time.Duration) {
		log.Warn("publish stream ended", "error", err, "again_in", again.String())
	}}
	c := &checkout{
		publisher: pipeline,
		retry:     client.Retry{Timeout: 15 * time.Second}, // the sidecar itself answers within 10 s
		journal:   book,
		tracer:    traces.TracerProvider().Tracer("shop/checkout"),
		run:       f.run,
		log:       log,
		open:      exists(f.open),
	}
	streaming, stop := context.WithCancel(ctx)
	var stream sync.WaitGroup
	stream.Go(func() { pipeline.Run(streaming) })
	err = c.placeAll(ctx, f.count, f.rate, f.inFlight)
	stop()
	stream.Wait()
	if err != nil {
		return err
	}
	return book.Append(journal.Record{What: journal.Done})
}

// exists returns a function that reports whether a file exists; for "" it always
// returns false.
func exists(path string) func() bool {
	return func() bool {
		if path == "" {
			return false
		}
		_, err := os.Stat(path)
		return err == nil
	}
}

// placeAll places count orders, and more while the shop is open, at rate orders a
// second. It returns when each order was confirmed or given up, or soon after ctx
// ended.
func (c *checkout) placeAll(ctx context.Context, count int, rate float64, inFlight int) error {
	var orders errgroup.Group
	orders.SetLimit(inFlight)
	begin := time.Now()
	for n := 0; n < count || c.open(); n++ {
		if !waitUntil(ctx, due(begin, n, rate)) {
			break
		}
		orders.Go(func() error { // blocks while inFlight orders are unconfirmed
			if ctx.Err() == nil {
				return c.place(ctx, n)
			}
			return nil
		})
	}
	return orders.Wait()
}

// due is when to place order n.
func due(begin time.Time, n int, rate float64) time.Time {
	if rate <= 0 {
		return begin
	}
	return begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
}

// waitUntil waits. It returns false when ctx ended first.
func waitUntil(ctx context.Context, at time.Time) bool {
	if wait := time.Until(at); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

func closeTraces(traces *tracing.Provider, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := traces.Shutdown(ctx); err != nil {
		log.Warn("last spans are lost", "error", err)
	}
}
