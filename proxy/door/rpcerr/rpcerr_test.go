package rpcerr_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
)

func TestEveryBrokerErrorHasOneErrorInfoAndItsOutcome(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^[A-Z][A-Z0-9_]+[A-Z0-9]$`) // AIP-193
	for kind := broker.Unavailable; kind <= broker.Invalid; kind++ {
		for _, outcome := range []broker.Outcome{broker.NotSent, broker.Unknown, broker.Failed} {
			err := rpcerr.From(refusal.FromBroker(fmt.Errorf("wrapped: %w", &broker.Error{Kind: kind, Outcome: outcome, Op: "publish"})))
			if code := status.Code(err); code == codes.Unknown || code == codes.OK || code == codes.Internal {
				t.Errorf("%v: code %v", kind, code)
			}
			if reason := rpcerr.Reason(err); !shape.MatchString(reason) || len(reason) > 63 {
				t.Errorf("%v: reason %q", kind, reason)
			}
			if got := rpcerr.Metadata(err, "outcome"); got != outcome.String() {
				t.Errorf("%v: outcome %q, want %q", kind, got, outcome)
			}
			infos := 0
			for _, d := range status.Convert(err).Details() {
				if i, ok := d.(*errdetails.ErrorInfo); ok && i.GetDomain() == rpcerr.Domain {
					infos++
				}
			}
			if infos != 1 {
				t.Errorf("%v: %d ErrorInfos, want 1", kind, infos)
			}
		}
	}
}

func TestOnlyUnavailableIsForAutomaticRetry(t *testing.T) {
	t.Parallel()
	for _, kind := range []broker.Kind{broker.Unroutable, broker.NotFound, broker.Conflict, broker.TooLarge, broker.Invalid, broker.Refused} {
		if code := status.Code(rpcerr.From(refusal.FromBroker(&broker.Error{Kind: kind}))); code == codes.Unavailable {
			t.Errorf("%v is UNAVAILABLE, which clients repeat by themselves", kind)
		}
	}
}

func TestOnlyAFullSidecarOrBrokerPushesBack(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"an alarm":               {refusal.FromBroker(&broker.Error{Kind: broker.Blocked}), true},
		"a full window":          {refusal.FromBroker(&broker.Error{Kind: broker.WindowFull}), true},
		"a full sidecar":         {refusal.Full(refusal.BufferFull, "full"), true},
		"a broker that is away":  {refusal.FromBroker(&broker.Error{Kind: broker.Unavailable}), false},
		"an event that is wrong": {refusal.Field(refusal.InvalidEvent, "event.id", "is empty"), false},
		"no error":               {nil, false},
	} {
		if after, ok := rpcerr.Pushback(test.err); ok != test.want || ok && after <= 0 {
			t.Errorf("%s: %v, %v; want %v", name, after, ok, test.want)
		}
	}
}

func TestEachKindOfRefusalHasItsDetail(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err  error
		code codes.Code
		want protoreflect.FullName // of the detail besides ErrorInfo
	}{
		"a field":        {refusal.Field(refusal.InvalidEvent, "event.id", "is empty"), codes.InvalidArgument, "google.rpc.BadRequest"},
		"what is away":   {refusal.Later(refusal.Draining, "bye"), codes.Unavailable, "google.rpc.RetryInfo"},
		"what is not":    {refusal.Missing(refusal.TopicNotFound, "EventTopic", "a/b", "no"), codes.NotFound, "google.rpc.ResourceInfo"},
		"a full sidecar": {refusal.Full(refusal.BufferFull, "full"), codes.ResourceExhausted, "google.rpc.QuotaFailure"},
		"no route": {refusal.FromBroker(&broker.Error{Kind: broker.Unroutable, Outcome: broker.Failed, Op: "publish"}),
			codes.FailedPrecondition, "google.rpc.PreconditionFailure"},
		"a late one": {refusal.Late(broker.Unknown, "late"), codes.DeadlineExceeded, "google.rpc.ErrorInfo"},
		"a fault":    {refusal.FromBroker(errors.New("a secret of the inside")), codes.Internal, "google.rpc.ErrorInfo"},
	} {
		st := status.Convert(rpcerr.From(test.err))
		var got []protoreflect.FullName
		for _, d := range st.Proto().GetDetails() {
			got = append(got, d.MessageName())
		}
		if st.Code() != test.code || !slices.Contains(got, test.want) || !slices.Contains(got, "google.rpc.ErrorInfo") {
			t.Errorf("%s: %s with %v, want %s with %s", name, st.Code(), got, test.code, test.want)
		}
	}
}

func TestWhatIsNoRefusalPassesUnchanged(t *testing.T) {
	t.Parallel()
	if rpcerr.From(nil) != nil {
		t.Error("nil became an error")
	}
	already := status.Error(codes.Aborted, "busy")
	if err := rpcerr.From(already); !errors.Is(err, already) {
		t.Errorf("a status became %v", err)
	}
	silent := rpcerr.From(&refusal.Error{Class: refusal.Exhausted, Text: "for operators"})
	if status.Code(silent) != codes.ResourceExhausted || rpcerr.Reason(silent) != "" {
		t.Errorf("a refusal without a reason became %v", silent)
	}
}
