package client_test

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
)

func TestErrorsSayWhatTheSidecarSaid(t *testing.T) {
	t.Parallel()
	nack := rpcerr.From(refusal.FromBroker(&broker.Error{Kind: broker.Nacked, Outcome: broker.Unknown, Op: "publish"}))
	newer := withInfo(t, codes.Unavailable, &errdetails.ErrorInfo{
		Reason: refusal.Draining, Domain: rpcerr.Domain, Metadata: map[string]string{"outcome": "new"},
	})
	full := rpcerr.From(refusal.FromBroker(&broker.Error{Kind: broker.WindowFull, Outcome: broker.NotSent, Op: "publish"}))
	for _, tt := range []struct {
		name       string
		err        error
		reached    bool
		want       string // code, reason, outcome
		repeatable bool
	}{
		{"a nack", nack, true, "Unavailable PUBLISH_NACKED unknown", true},
		{"a full buffer", full, true, "ResourceExhausted BUFFER_FULL not_sent", true},
		{"a missing topic", rpcerr.From(refusal.Missing(refusal.TopicNotFound, "topic", "x", "no topic")), true, "NotFound TOPIC_NOT_FOUND not_sent", false},
		{"an unroutable event", rpcerr.From(&refusal.Error{Class: refusal.Precondition, Reason: refusal.Unroutable, Text: "no queue", Outcome: broker.Failed}), true, "FailedPrecondition UNROUTABLE failed", false},
		{"a word that is not known", newer, true, "Unavailable DRAINING ", true},
		{"a connection lost on the way", status.Error(codes.Unavailable, "EOF"), true, "Unavailable  unknown", true},
		{"a deadline without a word", status.Error(codes.DeadlineExceeded, "late"), true, "DeadlineExceeded  unknown", true},
		{"a deadline before connecting", status.Error(codes.DeadlineExceeded, "late"), false, "DeadlineExceeded UNREACHABLE not_sent", true},
		{"a call that was cancelled before it left", status.Error(codes.Canceled, "ctx"), false, "Canceled  not_sent", false},
		{"a message that is too large for gRPC", status.Error(codes.ResourceExhausted, "too big"), true, "ResourceExhausted  ", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := client.Explain(tt.err, tt.reached)
			if got := fmt.Sprintf("%s %s %s", e.Code, e.Reason, e.Outcome); got != tt.want || e.Repeatable() != tt.repeatable {
				t.Errorf("%q, repeatable %t; want %q", got, e.Repeatable(), tt.want)
			}
			if status.Code(fmt.Errorf("wrapped: %w", e)) != e.Code {
				t.Errorf("status.Code does not find %s", e.Code)
			}
		})
	}
	if e := client.Explain(full, true); e.RetryAfter <= 0 || e.RetryAfter > time.Second {
		t.Errorf("RetryAfter is %s", e.RetryAfter)
	}
	if client.Explain(nil, true) != nil {
		t.Error("nil is no failure")
	}
	if got := client.Outcome(9).String(); got != "Outcome(9)" {
		t.Errorf("an outcome that is none is %q", got)
	}
}

func withInfo(t *testing.T, code codes.Code, info *errdetails.ErrorInfo) error {
	t.Helper()
	st, err := status.New(code, "no").WithDetails(info)
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

func TestErrorsNameTheFieldsThatAreInvalid(t *testing.T) {
	t.Parallel()
	e := client.Explain(rpcerr.From(refusal.Field(refusal.InvalidEvent, "event.id", "is empty")), true)
	if len(e.Violations) != 1 || e.Violations[0] != (client.Violation{Field: "event.id", Description: "is empty"}) {
		t.Errorf("violations %+v", e.Violations)
	}
	if want := "InvalidArgument INVALID_EVENT: event.id: is empty"; e.Error() != want {
		t.Errorf("%q, want %q", e.Error(), want)
	}
	foreign := withInfo(t, codes.Internal, &errdetails.ErrorInfo{Reason: "X", Domain: "example.com"})
	if e := client.Explain(foreign, true); e.Reason != "" {
		t.Errorf("a reason of somebody else: %q", e.Reason)
	}
}

func TestNobodyAtTheAddressIsUnreachableAndNothingWasSent(t *testing.T) {
	t.Parallel()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = lis.Close()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := client.New(conn)
	var failure *client.Error
	if _, err := c.Publish(t.Context(), "orders", &eventsv1.CloudEvent{}); !errors.As(err, &failure) || failure.Reason != client.Unreachable || failure.Outcome != client.NotSent {
		t.Errorf("Publish: %v", err)
	}
	if _, err := c.PublishBatch(t.Context(), "orders", &eventsv1.CloudEvent{}); !errors.As(err, &failure) || failure.Reason != client.Unreachable {
		t.Errorf("PublishBatch: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := client.Dial("\x00"); err == nil {
		t.Error("Dial takes any target")
	}
	byDefault, err := client.Dial("")
	if err != nil {
		t.Fatal(err)
	}
	if err := byDefault.Close(); err != nil {
		t.Error(err)
	}
}
