package refusal

import (
	"context"
	"errors"

	"github.com/warrenmesh/warren/proxy/broker"
)

// class is how one kind of broker error looks to a caller.
type class struct {
	class  Class
	reason string
	again  bool
}

var classes = map[broker.Kind]class{
	broker.Unavailable:    {Unavailable, BrokerUnavailable, true},
	broker.Blocked:        {Exhausted, BrokerBlocked, true},
	broker.WindowFull:     {Exhausted, BufferFull, true},
	broker.Unroutable:     {Precondition, Unroutable, false},
	broker.Nacked:         {Unavailable, PublishNacked, true},
	broker.ConfirmTimeout: {Unavailable, ConfirmTimeout, true},
	broker.Closed:         {Unavailable, ConnectionLost, true},
	broker.NotFound:       {NotFound, ExchangeNotFound, false},
	broker.Refused:        {Denied, AccessRefused, false},
	broker.Conflict:       {Precondition, TopologyConflict, false},
	broker.TooLarge:       {Invalid, EventTooLarge, false},
	broker.Invalid:        {Invalid, InvalidEvent, false},
}

// FromBroker turns a driver's error into the refusal that the caller gets. A refusal
// passes unchanged. The text of an error that a driver did not classify is not shown
// to callers.
func FromBroker(err error) error {
	if err == nil {
		return nil
	}
	var be *broker.Error
	if !errors.As(err, &be) {
		switch {
		case Of(err) != nil:
			return err
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
			return Late(broker.Unknown, err.Error())
		default:
			return &Error{Class: Internal, Reason: internal, Text: "the broker operation failed", Outcome: broker.Unknown}
		}
	}
	out := &Error{Class: Internal, Reason: internal, Text: be.Error(), Outcome: be.Outcome}
	c, ok := classes[be.Kind]
	if !ok {
		return out
	}
	out.Class, out.Reason = c.class, c.reason
	if c.again {
		out.RetryAfter = retryDelay
	}
	if be.Kind == broker.Unroutable {
		out.Violated = be.Op
	}
	return out
}
