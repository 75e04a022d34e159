package subscribe

import (
	"go.uber.org/goleak"

	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli"
	"github.com/warrenmesh/warren/cmd/warren/internal/cli/clitest"
	"github.com/warrenmesh/warren/cmd/warren/internal/publish"
)

// warren is the program under test.
var warren = clitest.Program{New, publish.New}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
			fake := &clitest.Sidecar{Deliveries: orders()}
			args := []string{"subscribe", "billing", "-n", "3", "-o", format, "--sidecar", clitest.Serve(t, fake.Register)}
			clitest.Golden(t, "subscribe-"+format, clitest.Transcript(warren.Run(t, args...), args...))
			for i, s := range fake.Settled {
				if s.GetOutcome() != eventsv1.Outcome_OUTCOME_ACK || s.GetToken() != string("abc"[i]) {
					t.Errorf("settlement %d = %v", i, s)
				}
			}
			if len(fake.Settled) != 3 {
				t.Errorf("%d settlements, want 3", len(fake.Settled))
			}
		})
	}
}

func TestWhatSubscribePrintsPublishReads(t *testing.T) {
	t.Parallel()
	fake := &clitest.Sidecar{Deliveries: orders()}
	address := clitest.Serve(t, fake.Register)
	received := warren.Run(t, "subscribe", "billing", "-n", "3", "-o", "json", "--sidecar", address)
	if received.Code != cli.ExitOK || strings.Count(received.Out, "\n") != 3 {
		t.Fatalf("subscribe: %+v", received)
	}
	if r := warren.Call(t, clitest.Invocation{Stdin: received.Out}, "publish", "again", "-f", "-", "--sidecar", address); r.Code != cli.ExitOK {
		t.Fatalf("publish: %+v", r)
	}
	got := fake.ByID()
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
			fake := &clitest.Sidecar{Deliveries: orders()}
			args := append([]string{"subscribe", "billing", "-n", "1", "--sidecar", clitest.Serve(t, fake.Register)}, tt.args...)
			if r := warren.Run(t, args...); r.Code != cli.ExitOK {
				t.Fatalf("exit %d: %s", r.Code, r.Err)
			}
			fake.Mu.Lock()
			defer fake.Mu.Unlock()
			got := ""
			for _, s := range fake.Settled {
				got += fmt.Sprintf("%s %s %s", s.GetOutcome(), s.GetRetryAfter().AsDuration(), s.GetReason())
			}
			if got != tt.want {
				t.Errorf("settled %q, want %q", got, tt.want)
			}
			if fake.Init.GetInitialCredit() != 1 {
				t.Errorf("initial credit %d, want no more than the count", fake.Init.GetInitialCredit())
			}
		})
	}
}

func TestSubscribeToAnUnknownSubscriptionGivesAdvice(t *testing.T) {
	t.Parallel()
	args := []string{"subscribe", "nope", "--sidecar", clitest.Serve(t, (&clitest.Sidecar{}).Register)}
	clitest.Golden(t, "subscribe-unknown", clitest.Transcript(warren.Run(t, args...), args...))
}

func TestSubscribeEndsCleanlyWithCtrlC(t *testing.T) {
	t.Parallel()
	fake := &clitest.Sidecar{Deliveries: orders()[:1]}
	ctx, cancel := context.WithCancel(t.Context())
	out := &clitest.CancelOn{Cancel: cancel}
	r := warren.Call(t, clitest.Invocation{Ctx: ctx, Out: out}, "subscribe", "billing", "-o", "raw", "--sidecar", clitest.Serve(t, fake.Register))
	if r.Code != cli.ExitOK || !strings.Contains(out.Text.String(), "total") {
		t.Errorf("exit %d, out %q: %s", r.Code, out.Text.String(), r.Err)
	}
	if len(fake.Settled) != 1 {
		t.Errorf("%d settlements, want what was printed settled", len(fake.Settled))
	}
}

// closedPipe refuses every write.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestSubscribeDoesNotAcknowledgeWhatItCouldNotPrint(t *testing.T) {
	t.Parallel()
	fake := &clitest.Sidecar{Deliveries: orders()}
	r := warren.Call(t, clitest.Invocation{Out: closedPipe{}}, "subscribe", "billing", "--sidecar", clitest.Serve(t, fake.Register))
	if r.Code != cli.ExitFailure || !strings.Contains(r.Err, "broken pipe") || len(fake.Settled) != 0 {
		t.Errorf("exit %d, %d settled: %s", r.Code, len(fake.Settled), r.Err)
	}
}
