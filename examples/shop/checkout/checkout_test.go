package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/examples/shop/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sidecar answers a publish according to its event id and the number of the call.
type sidecar struct {
	answer func(id string, call int) error

	mu    sync.Mutex // guards calls
	calls map[string]int
}

func (s *sidecar) Publish(_ context.Context, _ string, event *eventsv1.CloudEvent) (*eventsv1.PublishResponse, error) {
	id := event.GetId()
	s.mu.Lock()
	s.calls[id]++
	call := s.calls[id]
	s.mu.Unlock()
	if err := s.answer(id, call); err != nil {
		return nil, err
	}
	return &eventsv1.PublishResponse{EventId: id, Topic: "shop/orders"}, nil
}

// shop returns a checkout on s and a function that reads its journal.
func shop(t *testing.T, s *sidecar) (*checkout, func() []journal.Record) {
	t.Helper()
	s.calls = make(map[string]int)
	path := filepath.Join(t.TempDir(), "journal")
	book, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = book.Close() })
	c := &checkout{
		publisher: s, retry: client.Retry{Backoff: time.Millisecond},
		journal: book, run: "r",
		tracer: noop.NewTracerProvider().Tracer(""),
		log:    slog.New(slog.DiscardHandler),
		open:   exists(""),
	}
	return c, func() []journal.Record {
		records, err := journal.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		return records
	}
}

func TestAnOrderIsRepeatedWithItsIDUntilItIsConfirmed(t *testing.T) {
	t.Parallel()
	c, records := shop(t, &sidecar{answer: func(_ string, call int) error {
		if call < 3 {
			return status.Error(codes.Unavailable, "connection lost")
		}
		return nil
	}})
	if err := c.placeAll(t.Context(), 1, 0, 8); err != nil {
		t.Fatal(err)
	}
	got := records()
	if len(got) != 2 || got[0].What != journal.Published || got[1].What != journal.Confirmed ||
		got[0].ID != got[1].ID || got[1].Attempt != 3 || got[1].Topic != "shop/orders" {
		t.Errorf("journal is %+v", got)
	}
}

func TestARefusedOrderIsWrittenDownAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	c, records := shop(t, &sidecar{answer: func(id string, _ int) error {
		if id == "r-order-000002" {
			return status.Error(codes.NotFound, "no such topic")
		}
		return nil
	}})
	if err := c.placeAll(t.Context(), 5, 0, 2); err != nil {
		t.Fatal(err)
	}
	whats := make(map[string]int)
	for _, r := range records() {
		whats[r.What]++
		if r.What == journal.Failed && (r.ID != "r-order-000002" || r.Error == "") {
			t.Errorf("refused order is %+v", r)
		}
	}
	if got := fmt.Sprint(whats); got != "map[confirmed:4 failed:1 published:5]" {
		t.Errorf("journal holds %s", got)
	}
}

func TestOrdersKeepTheirRate(t *testing.T) {
	t.Parallel()
	c, records := shop(t, &sidecar{answer: func(string, int) error { return nil }})
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if err := c.placeAll(t.Context(), 11, 5, 4); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 2*time.Second {
			t.Errorf("11 orders at 5 a second took %v, want 2s", took)
		}
	})
	if n := len(records()); n != 22 {
		t.Errorf("journal holds %d lines, want 22", n)
	}
}

func TestAnOpenShopGoesOnBeyondItsCount(t *testing.T) {
	t.Parallel()
	c, records := shop(t, &sidecar{answer: func(string, int) error { return nil }})
	sign := filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(sign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	asked := 0
	c.open = func() bool {
		asked++
		if asked == 5 {
			if err := os.Remove(sign); err != nil {
				t.Error(err)
			}
		}
		return exists(sign)()
	}
	if err := c.placeAll(t.Context(), 3, 0, 1); err != nil {
		t.Fatal(err)
	}
	if n := len(records()); n != 14 {
		t.Errorf("journal holds %d lines, want those of the 3 orders asked for and of 4 more", n)
	}
}

func TestStoppingLeavesWhatIsOpenUnconfirmed(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	c, records := shop(t, &sidecar{answer: func(string, int) error {
		cancel()
		return status.Error(codes.Unavailable, "no broker")
	}})
	if err := c.placeAll(ctx, 100, 0, 1); err != nil {
		t.Fatal(err)
	}
	if got := records(); len(got) != 1 || got[0].What != journal.Published {
		t.Errorf("journal is %+v, want one order without a confirm", got)
	}
}
