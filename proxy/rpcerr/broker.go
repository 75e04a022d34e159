package rpcerr

import (
	"context"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/proxy/broker"
)

// class is how one kind of broker error looks to a service.
type class struct {
	code   codes.Code
	reason string
	retry  bool
}

var classes = map[broker.Kind]class{
	broker.Unavailable:    {codes.Unavailable, BrokerUnavailable, true},
	broker.Blocked:        {codes.ResourceExhausted, BrokerBlocked, true},
	broker.WindowFull:     {codes.ResourceExhausted, BufferFull, true},
	broker.Unroutable:     {codes.FailedPrecondition, Unroutable, false},
	broker.Nacked:         {codes.Unavailable, PublishNacked, true},
	broker.ConfirmTimeout: {codes.Unavailable, ConfirmTimeout, true},
	broker.Closed:         {codes.Unavailable, ConnectionLost, true},
	broker.NotFound:       {codes.NotFound, ExchangeNotFound, false},
	broker.Refused:        {codes.PermissionDenied, AccessRefused, false},
	broker.Conflict:       {codes.FailedPrecondition, TopologyConflict, false},
	broker.TooLarge:       {codes.InvalidArgument, EventTooLarge, false},
	broker.Invalid:        {codes.InvalidArgument, InvalidEvent, false},
}

// FromBroker turns what a driver returned into what the service gets. An error
// that already is a gRPC status passes unchanged.
func FromBroker(err error) error {
	if err == nil {
		return nil
	}
	var be *broker.Error
	if !errors.As(err, &be) {
		if _, ok := status.FromError(err); ok {
			return err
		}
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return Deadline(broker.Unknown, err.Error())
		}
		return New(codes.Internal, "INTERNAL", "the broker operation failed", "outcome", broker.Unknown.String())
	}
	c, ok := classes[be.Kind]
	if !ok {
		return New(codes.Internal, "INTERNAL", be.Error(), "outcome", be.Outcome.String())
	}
	metadata := []string{"outcome", be.Outcome.String()}
	switch {
	case be.Kind == broker.Unroutable:
		return with(c.code, c.reason, be.Error(), metadata, &errdetails.PreconditionFailure{
			Violations: []*errdetails.PreconditionFailure_Violation{{Type: Unroutable, Subject: be.Op, Description: "no queue is bound for this routing key"}},
		})
	case c.retry:
		return with(c.code, c.reason, be.Error(), metadata, retryInfo())
	default:
		return New(c.code, c.reason, be.Error(), metadata...)
	}
}

// Deadline is the answer just before the caller's own deadline.
func Deadline(o broker.Outcome, message string) error {
	return New(codes.DeadlineExceeded, DeadlineNear, message, "outcome", o.String())
}
