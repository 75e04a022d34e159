// Command billing makes an invoice for every order. Its own sidecar pushes orders to
// it, and it publishes an event "com.shop.invoice.issued" for each. It acknowledges the
// order only after the invoice was confirmed. The id of the invoice is made from the id
// of the order, so a redelivered order repeats the same invoice.
//
// It names no subscription: the configuration says which events are pushed to its port.
//
//	billing --sidecar 127.0.0.1:17400 --listen 127.0.0.1:9090 --journal billing.ndjson
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

	"google.golang.org/grpc"

	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/examples/shop/events"
	"github.com/warrenmesh/warren/examples/shop/journal"
	"github.com/warrenmesh/warren/tracing"
)

func main() {
	sidecar := flag.String("sidecar", "127.0.0.1:17400", "gRPC target of the service's own sidecar")
	listen := flag.String("listen", "127.0.0.1:9090", "loopback address that events are pushed to")
	path := flag.String("journal", "billing.ndjson", "file that records every order and invoice")
	flag.Parse()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("service", "billing")

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *sidecar, *listen, *path, log); err != nil {
		log.Error("billing ended", "error", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, sidecar, listen, path string, log *slog.Logger) error {
	traces, err := tracing.Setup(ctx, tracing.Options{ServiceName: "billing", Logger: log})
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

	b := &billing{
		publisher: c,
		journal:   book,
		tracer:    traces.TracerProvider().Tracer("shop/billing"),
		log:       log,
	}
	server := &events.Server{
		Address: listen, Handler: b, Ready: b.ready,
		Options: []grpc.ServerOption{grpc.StatsHandler(traces.ServerHandler())},
	}
	return server.Run(ctx)
}

func closeTraces(traces *tracing.Provider, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if err := traces.Shutdown(ctx); err != nil {
		log.Warn("last spans are lost", "error", err)
	}
}
