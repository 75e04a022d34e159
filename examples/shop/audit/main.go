// Command audit records every order and every invoice that it receives. It publishes
// nothing.
//
//	audit --sidecar 127.0.0.1:17400 --journal audit.ndjson
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/examples/shop/journal"
	"github.com/warrenmesh/warren/tracing"
)

func main() {
	sidecar := flag.String("sidecar", "127.0.0.1:17400", "gRPC target of the service's own sidecar")
	path := flag.String("journal", "audit.ndjson", "file that records every event")
	flag.Parse()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("service", "audit")

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *sidecar, *path, log); err != nil {
		log.Error("audit ended", "error", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, sidecar, path string, log *slog.Logger) error {
	traces, err := tracing.Setup(ctx, tracing.Options{ServiceName: "audit", Logger: log})
	if err != nil {
		return fmt.Errorf("set up tracing: %w", err)
	}
	defer closeTraces(traces, log)
	book, err := journal.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = book.Close() }()
	c, err := client.Dial(sidecar, grpc.WithStatsHandler(traces.ClientHandler()))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()

	a := &audit{journal: book, tracer: traces.TracerProvider().Tracer("shop/audit"), log: log}
	subscriptions, ctx := errgroup.WithContext(ctx)
	for _, name := range []string{"audit", "audit-next", "audit-invoices"} {
		subscriptions.Go(func() error { return c.Subscribe(ctx, name, a.handle(name), a.options(name)) })
	}
	return subscriptions.Wait()
}

func closeTraces(traces *tracing.Provider, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := traces.Shutdown(ctx); err != nil {
		log.Warn("last spans are lost", "error", err)
	}
}
