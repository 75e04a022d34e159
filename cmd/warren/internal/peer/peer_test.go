package peer_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/cmd/warren/internal/peer"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDialChecksAddresses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		address string
		ok      bool
	}{
		{"127.0.0.1:17400", true},
		{"[::1]:17400", true},
		{"sidecar.local:17400", true},
		{"unix:/var/run/warren/warren.sock", true},
		{"unix:///var/run/warren.sock", true},
		{"unix-abstract:warren", true},
		{"127.0.0.1", false},
		{"127.0.0.1:", false},
		{"unix:", false},
		{"unix:///", false},
		{"", false},
	}
	for _, tt := range tests {
		t.Run("address "+tt.address, func(t *testing.T) {
			t.Parallel()
			conn, err := peer.Dial(tt.address)
			if (err == nil) != tt.ok {
				t.Fatalf("Dial = %v, want ok %t", err, tt.ok)
			}
			if err == nil {
				_ = conn.Close()
			} else if !strings.Contains(err.Error(), "want host:port or unix:/path") {
				t.Errorf("error %q does not say what would be right", err)
			}
		})
	}
}

func TestNobodyAtTheAddressIsUnreachableAndNotSent(t *testing.T) {
	t.Parallel()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := lis.Addr().String()
	_ = lis.Close()
	conn, err := peer.Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = client.New(conn).Publish(t.Context(), "orders", &eventsv1.CloudEvent{})
	f := peer.Explain(err, true)
	if f.Reason != peer.Unreachable || f.Outcome != "not_sent" || !f.Retryable {
		t.Errorf("failure = %+v", f)
	}
	if hint := f.Hint("sidecar", address); !strings.Contains(hint, address) || !strings.Contains(hint, "warren dev") {
		t.Errorf("hint = %q", hint)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	nack := rpcerr.From(refusal.FromBroker(&broker.Error{Kind: broker.Nacked, Outcome: broker.Unknown, Op: "publish"}))
	full := rpcerr.From(refusal.FromBroker(&broker.Error{Kind: broker.WindowFull, Outcome: broker.NotSent, Op: "publish"}))
	tests := []struct {
		name      string
		err       error
		reached   bool
		title     string
		outcome   string
		retryable bool
	}{
		{"a nack is unknown and may be repeated", nack, true, "UNAVAILABLE PUBLISH_NACKED", "unknown", true},
		{"a full buffer says when to come back", full, true, "RESOURCE_EXHAUSTED BUFFER_FULL", "not_sent", true},
		{"a missing topic stays missing", rpcerr.From(refusal.Missing(refusal.TopicNotFound, "topic", "x", "no topic")), true, "NOT_FOUND TOPIC_NOT_FOUND", "not_sent", false},
		{"a connection lost on the way is unknown", status.Error(codes.Unavailable, "EOF"), true, "UNAVAILABLE", "unknown", true},
		{"a deadline without a word is unknown", status.Error(codes.DeadlineExceeded, "late"), true, "DEADLINE_EXCEEDED", "unknown", false},
		{"a deadline before connecting is not sent", status.Error(codes.DeadlineExceeded, "late"), false, "DEADLINE_EXCEEDED UNREACHABLE", "not_sent", false},
		{"a full server without advice is not repeated", status.Error(codes.ResourceExhausted, "too big"), true, "RESOURCE_EXHAUSTED", "", false},
		{"no error is no failure", nil, true, "", "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := peer.Explain(tt.err, tt.reached)
			if f.Title() != tt.title || f.Outcome != tt.outcome || f.Retryable != tt.retryable {
				t.Errorf("Explain = %q %q %t, want %q %q %t", f.Title(), f.Outcome, f.Retryable, tt.title, tt.outcome, tt.retryable)
			}
		})
	}
	if f := peer.Explain(full, true); f.RetryAfter <= 0 || f.RetryAfter > time.Second {
		t.Errorf("RetryAfter = %s, want the sidecar's own", f.RetryAfter)
	}
}

func TestOnlyWhatMaySucceedLaterIsSafeToRepeat(t *testing.T) {
	t.Parallel()
	missing := rpcerr.From(refusal.Missing(refusal.TopicNotFound, "topic", "x", "no topic"))
	if text := peer.Explain(missing, true).OutcomeText(); strings.Contains(text, "repeat") || !strings.HasPrefix(text, "not sent") {
		t.Errorf("a topic that does not exist: %q", text)
	}
	later := rpcerr.From(refusal.Later(refusal.BrokerUnavailable, "no node answers"))
	if text := peer.Explain(later, true).OutcomeText(); text != "not sent: safe to repeat" {
		t.Errorf("a broker that is away: %q", text)
	}
}

func TestAnotherServiceIsNamedAsSuch(t *testing.T) {
	t.Parallel()
	f := peer.Explain(status.Error(codes.Unimplemented, "unknown service"), true)
	if hint := f.Hint("sidecar", "127.0.0.1:1"); !strings.Contains(hint, "is not the port of a sidecar") {
		t.Errorf("hint = %q", hint)
	}
}
