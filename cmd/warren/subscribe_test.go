package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
)

// Subscribe hands out the fake's deliveries as credit allows, answers settlements
// and stays open.
func (s *fakeSidecar) Subscribe(stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error {
	credit, next := 0, 0
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil //nolint:nilerr // the client is gone
		}
		resp := &eventsv1.SubscribeResponse{}
		switch r := r.GetRequest().(type) {
		case *eventsv1.SubscribeRequest_Init:
			if name := r.Init.GetSubscription(); name != "billing" {
				return rpcerr.From(refusal.Missing(refusal.SubscriptionUnknown, "subscription", name, fmt.Sprintf("subscription %q is not declared for this workload", name)))
			}
			s.mu.Lock()
			s.init = r.Init
			s.mu.Unlock()
			credit = int(r.Init.GetInitialCredit())
			resp.Response = &eventsv1.SubscribeResponse_Ready{Ready: &eventsv1.SubscribeReady{Subscription: "shop/billing", Topic: "shop/orders"}}
		case *eventsv1.SubscribeRequest_Credit:
			credit += int(r.Credit.GetMessages())
		case *eventsv1.SubscribeRequest_Settle:
			settled := &eventsv1.SubscribeSettled{}
			s.mu.Lock()
			for _, one := range r.Settle.GetSettlements() {
				s.settled = append(s.settled, one)
				settled.Results = append(settled.Results, &eventsv1.SettleResult{Token: one.GetToken()})
			}
			s.mu.Unlock()
			resp.Response = &eventsv1.SubscribeResponse_Settled{Settled: settled}
		}
		if resp.GetResponse() != nil {
			if err := stream.Send(resp); err != nil {
				return err
			}
		}
		batch := &eventsv1.SubscribeDeliveries{}
		for ; credit > 0 && next < len(s.deliveries); credit, next = credit-1, next+1 {
			batch.Deliveries = append(batch.Deliveries, s.deliveries[next])
		}
		if len(batch.GetDeliveries()) == 0 {
			continue
		}
		if err := stream.Send(&eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Deliveries{Deliveries: batch}}); err != nil {
			return err
		}
	}
}

func text(s string) *eventsv1.CloudEvent_CloudEventAttributeValue {
	return &eventsv1.CloudEvent_CloudEventAttributeValue{Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: s}}
}

// orders are three deliveries: JSON, text over two lines, and bytes redelivered.
func orders() []*eventsv1.Delivery {
	at := &eventsv1.CloudEvent_CloudEventAttributeValue{Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeTimestamp{
		CeTimestamp: &timestamppb.Timestamp{Seconds: 1795428000},
	}}
	return []*eventsv1.Delivery{
		{Token: "a", Attempt: 1, Topic: "shop/orders", Event: &eventsv1.CloudEvent{
			Id: "o-1", Source: "/checkout", SpecVersion: "1.0", Type: "com.shop.order.placed",
			Attributes: map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{
				"subject": text("order-1"), "datacontenttype": text("application/json"), "time": at,
			},
			Data: &eventsv1.CloudEvent_BinaryData{BinaryData: []byte(`{"total": 42, "currency":"EUR"}`)},
		}},
		{Token: "b", Attempt: 1, Topic: "shop/orders", Event: &eventsv1.CloudEvent{
			Id: "o-2", Source: "/checkout", SpecVersion: "1.0", Type: "com.shop.note",
			Attributes: map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"datacontenttype": text("text/plain")},
			Data:       &eventsv1.CloudEvent_BinaryData{BinaryData: []byte("grün\nund gut")},
		}},
		{Token: "c", Attempt: 3, Redelivered: true, Topic: "shop/orders", Event: &eventsv1.CloudEvent{
			Id: "o-3", Source: "/checkout", SpecVersion: "1.0", Type: "com.shop.blob",
			Data: &eventsv1.CloudEvent_BinaryData{BinaryData: []byte{0xff, 0x00}},
		}, ReplyTo: "rpc.q", ContentEncoding: "gzip", Headers: map[string]*eventsv1.HeaderValue{
			"tenant": {Value: &eventsv1.HeaderValue_StringValue{StringValue: "acme\x1b[2J"}},
			"try":    {Value: &eventsv1.HeaderValue_IntValue{IntValue: -7}},
			"raw":    {Value: &eventsv1.HeaderValue_BytesValue{BytesValue: []byte{0xff}}},
		}},
	}
}

func TestSubscribePrintsAndAcknowledges(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"table", "wide", "json", "yaml", "raw"} {
		t.Run("as "+format, func(t *testing.T) {
			t.Parallel()
			fake := &fakeSidecar{deliveries: orders()}
			args := []string{"subscribe", "billing", "-n", "3", "-o", format, "--sidecar", serve(t, fake.register)}
			golden(t, "subscribe-"+format, transcript(invocation{}.run(t, args...), args...))
			for i, s := range fake.settled {
				if s.GetOutcome() != eventsv1.Outcome_OUTCOME_ACK || s.GetToken() != string("abc"[i]) {
					t.Errorf("settlement %d = %v", i, s)
				}
			}
			if len(fake.settled) != 3 {
				t.Errorf("%d settlements, want 3", len(fake.settled))
			}
		})
	}
}

func TestWhatSubscribePrintsPublishReads(t *testing.T) {
	t.Parallel()
	fake := &fakeSidecar{deliveries: orders()}
	address := serve(t, fake.register)
	received := invocation{}.run(t, "subscribe", "billing", "-n", "3", "-o", "json", "--sidecar", address)
	if received.code != exitOK || strings.Count(received.out, "\n") != 3 {
		t.Fatalf("subscribe: %+v", received)
	}
	if r := (invocation{stdin: received.out}).run(t, "publish", "again", "-f", "-", "--sidecar", address); r.code != exitOK {
		t.Fatalf("publish: %+v", r)
	}
	got := fake.byID()
	for _, d := range orders() {
		want := d.GetEvent()
		if string(got[want.GetId()].GetBinaryData()) != string(want.GetBinaryData()) {
			t.Errorf("event %s: data %q", want.GetId(), got[want.GetId()].GetBinaryData())
		}
	}
}

func TestSubscribeSettlesAsAsked(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"retry with a delay", []string{"--outcome", "retry", "--retry-after", "3s", "--reason", "later"}, "OUTCOME_RETRY 3s later"},
		{"dead-letter with a reason", []string{"--outcome", "dead-letter", "--reason", "bad"}, "OUTCOME_DEAD_LETTER 0s bad"},
		{"nothing with --no-ack", []string{"--no-ack"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeSidecar{deliveries: orders()}
			args := append([]string{"subscribe", "billing", "-n", "1", "--sidecar", serve(t, fake.register)}, tt.args...)
			if r := (invocation{}).run(t, args...); r.code != exitOK {
				t.Fatalf("exit %d: %s", r.code, r.err)
			}
			fake.mu.Lock()
			defer fake.mu.Unlock()
			got := ""
			for _, s := range fake.settled {
				got += fmt.Sprintf("%s %s %s", s.GetOutcome(), s.GetRetryAfter().AsDuration(), s.GetReason())
			}
			if got != tt.want {
				t.Errorf("settled %q, want %q", got, tt.want)
			}
			if fake.init.GetInitialCredit() != 1 {
				t.Errorf("initial credit %d, want no more than the count", fake.init.GetInitialCredit())
			}
		})
	}
}

func TestSubscribeToAnUnknownSubscriptionGivesAdvice(t *testing.T) {
	t.Parallel()
	args := []string{"subscribe", "nope", "--sidecar", serve(t, (&fakeSidecar{}).register)}
	golden(t, "subscribe-unknown", transcript(invocation{}.run(t, args...), args...))
}

// cancelOn cancels at the first write, as a person does who has seen enough.
type cancelOn struct {
	cancel context.CancelFunc
	text   strings.Builder
}

func (c *cancelOn) Write(p []byte) (int, error) {
	c.cancel()
	return c.text.Write(p)
}

func TestSubscribeEndsCleanlyWithCtrlC(t *testing.T) {
	t.Parallel()
	fake := &fakeSidecar{deliveries: orders()[:1]}
	ctx, cancel := context.WithCancel(t.Context())
	out := &cancelOn{cancel: cancel}
	r := invocation{ctx: ctx, out: out}.run(t, "subscribe", "billing", "-o", "raw", "--sidecar", serve(t, fake.register))
	if r.code != exitOK || !strings.Contains(out.text.String(), "total") {
		t.Errorf("exit %d, out %q: %s", r.code, out.text.String(), r.err)
	}
	if len(fake.settled) != 1 {
		t.Errorf("%d settlements, want what was printed settled", len(fake.settled))
	}
}

// closedPipe refuses every write.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestSubscribeDoesNotAcknowledgeWhatItCouldNotPrint(t *testing.T) {
	t.Parallel()
	fake := &fakeSidecar{deliveries: orders()}
	r := invocation{out: closedPipe{}}.run(t, "subscribe", "billing", "--sidecar", serve(t, fake.register))
	if r.code != exitFailure || !strings.Contains(r.err, "broken pipe") || len(fake.settled) != 0 {
		t.Errorf("exit %d, %d settled: %s", r.code, len(fake.settled), r.err)
	}
}
