package rpcerr_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/rpcerr"
)

func TestEveryBrokerErrorHasOneErrorInfoAndItsOutcome(t *testing.T) {
	t.Parallel()
	shape := regexp.MustCompile(`^[A-Z][A-Z0-9_]+[A-Z0-9]$`) // AIP-193
	for kind := broker.Unavailable; kind <= broker.Invalid; kind++ {
		for _, outcome := range []broker.Outcome{broker.NotSent, broker.Unknown, broker.Failed} {
			err := rpcerr.FromBroker(fmt.Errorf("wrapped: %w", &broker.Error{Kind: kind, Outcome: outcome, Op: "publish"}))
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
		if code := status.Code(rpcerr.FromBroker(&broker.Error{Kind: kind})); code == codes.Unavailable {
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
		"an alarm":               {rpcerr.FromBroker(&broker.Error{Kind: broker.Blocked}), true},
		"a full window":          {rpcerr.FromBroker(&broker.Error{Kind: broker.WindowFull}), true},
		"a full sidecar":         {rpcerr.Exhausted(rpcerr.BufferFull, "full"), true},
		"a broker that is away":  {rpcerr.FromBroker(&broker.Error{Kind: broker.Unavailable}), false},
		"an event that is wrong": {rpcerr.Field(rpcerr.InvalidEvent, "event.id", "is empty"), false},
		"no error":               {nil, false},
	} {
		if after, ok := rpcerr.Pushback(test.err); ok != test.want || ok && after <= 0 {
			t.Errorf("%s: %v, %v; want %v", name, after, ok, test.want)
		}
	}
}

func TestOtherErrors(t *testing.T) {
	t.Parallel()
	if rpcerr.FromBroker(nil) != nil {
		t.Error("nil became an error")
	}
	already := rpcerr.Unavailable(rpcerr.Draining, "bye")
	if !errors.Is(rpcerr.FromBroker(already), already) {
		t.Error("a status was wrapped again")
	}
	if err := rpcerr.FromBroker(context.DeadlineExceeded); status.Code(err) != codes.DeadlineExceeded || rpcerr.Metadata(err, "outcome") != "unknown" {
		t.Errorf("deadline became %v", err)
	}
	if err := rpcerr.FromBroker(errors.New("a secret of the inside")); status.Code(err) != codes.Internal || status.Convert(err).Message() != "the broker operation failed" {
		t.Errorf("an unclassified error became %v", err)
	}
}
