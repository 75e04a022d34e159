package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
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

// sidecar answers publishes from a list. It repeats the last answer.
type sidecar struct {
	answers   []error
	published []string
}

func (s *sidecar) Publish(_ context.Context, _ string, event *eventsv1.CloudEvent) (*eventsv1.PublishResponse, error) {
	s.published = append(s.published, event.GetId())
	err := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	if err != nil {
		return nil, err
	}
	return &eventsv1.PublishResponse{EventId: event.GetId(), Topic: "shop/invoices"}, nil
}

func order(id string) *eventsv1.OnEventRequest {
	return &eventsv1.OnEventRequest{
		Subscription: "shop/billing", Topic: "shop/orders", Attempt: 2, Redelivered: true,
		Event: &eventsv1.CloudEvent{
			Id: id, Data: &eventsv1.CloudEvent_BinaryData{BinaryData: []byte(`{"id":"` + id + `","cents":1234}`)},
		},
	}
}

// bill passes one order to a billing, and returns the outcome and the journal.
func bill(t *testing.T, s *sidecar, req *eventsv1.OnEventRequest) (eventsv1.Outcome, []journal.Record) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	book, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = book.Close() }()
	b := &billing{
		publisher: s, retry: client.Retry{Backoff: time.Millisecond},
		journal: book,
		tracer:  noop.NewTracerProvider().Tracer(""),
		log:     slog.New(slog.DiscardHandler),
	}
	answer, err := b.OnEvent(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	records, err := journal.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetOutcome(), records
}

func TestAnOrderIsAckedAfterItsInvoiceIsConfirmed(t *testing.T) {
	t.Parallel()
	s := &sidecar{answers: []error{status.Error(codes.Unavailable, "confirm timeout"), nil}}
	outcome, records := bill(t, s, order("o1"))
	if outcome != eventsv1.Outcome_OUTCOME_ACK {
		t.Errorf("outcome is %v, want ack", outcome)
	}
	if got := fmt.Sprint(s.published); got != "[o1-invoice o1-invoice]" {
		t.Errorf("published %s, want the same id twice", got)
	}
	var whats []string
	for _, r := range records {
		whats = append(whats, r.What+" "+r.ID)
	}
	if got := fmt.Sprint(whats); got != "[published o1-invoice confirmed o1-invoice delivered o1]" {
		t.Errorf("journal is %s", got)
	}
	if last := records[2]; last.Attempt != 2 || !last.Redelivered || last.Subscription != "billing" || records[1].Cause != "o1" {
		t.Errorf("journal is %+v", records)
	}
}

func TestAnOrderWhoseInvoiceIsRefusedComesAgain(t *testing.T) {
	t.Parallel()
	outcome, records := bill(t, &sidecar{answers: []error{status.Error(codes.NotFound, "no topic")}}, order("o1"))
	if outcome != eventsv1.Outcome_OUTCOME_RETRY {
		t.Errorf("outcome is %v, want retry", outcome)
	}
	if len(records) != 1 || records[0].What != journal.Published {
		t.Errorf("journal is %+v, want only that it was tried", records)
	}
}

func TestAnOrderThatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	d := order("o1")
	d.Event.Data = &eventsv1.CloudEvent_BinaryData{BinaryData: []byte("not JSON")}
	s := &sidecar{answers: []error{nil}}
	if outcome, _ := bill(t, s, d); outcome != eventsv1.Outcome_OUTCOME_DEAD_LETTER || len(s.published) > 0 {
		t.Errorf("outcome is %v with invoices %v, want dead letter without any", outcome, s.published)
	}
}

func TestTheSameOrderAlwaysMakesTheSameInvoice(t *testing.T) {
	t.Parallel()
	first, err := invoiceFor(order("o1").GetEvent())
	if err != nil {
		t.Fatal(err)
	}
	second, err := invoiceFor(order("o1").GetEvent())
	if err != nil {
		t.Fatal(err)
	}
	if first.GetId() != second.GetId() || first.GetId() != "o1-invoice" || first.GetType() != "com.shop.invoice.issued" {
		t.Errorf("invoices are %q and %q of type %q", first.GetId(), second.GetId(), first.GetType())
	}
	var payload invoice
	if err := json.Unmarshal(first.GetBinaryData(), &payload); err != nil || payload != (invoice{Order: "o1", Cents: 1234}) {
		t.Errorf("payload is %+v, %v", payload, err)
	}
}
