package grpc

import (
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/session"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// Subscribe implements EventService.Subscribe; see deliver.Service for when it ends.
func (d *Door) Subscribe(stream grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]) error {
	if err := d.enter(); err != nil {
		return err
	}
	defer d.streams.Give(0)
	return rpcerr.From(d.deliver.Subscribe(subscribeStream{stream, d.metrics}))
}

// subscribeStream implements session.Stream.
type subscribeStream struct {
	grpc.BidiStreamingServer[eventsv1.SubscribeRequest, eventsv1.SubscribeResponse]
	metrics *metrics.Events
}

// Receive implements session.Stream.
func (s subscribeStream) Receive() (session.Request, error) {
	var in subscribeRequest
	if err := s.RecvMsg(&in); err != nil {
		return nil, err
	}
	if settled, ok := in.request.(session.Settlements); ok && in.decoded {
		s.metrics.Slow(metrics.DeliveryDecode, len(settled))
	} else {
		s.metrics.Fast(metrics.DeliveryDecode, len(settled))
	}
	return in.request, nil
}

// askedBy makes a request of its message.
func askedBy(req *eventsv1.SubscribeRequest) session.Request {
	switch r := req.GetRequest().(type) {
	case *eventsv1.SubscribeRequest_Init:
		return session.Init{
			Subscription: r.Init.GetSubscription(), Credit: r.Init.GetInitialCredit(), AwaitCredit: r.Init.GetAwaitCredit(),
			MaxMessages: r.Init.GetMaxOutstandingMessages(), MaxBytes: r.Init.GetMaxOutstandingBytes(),
			AckDeadline: r.Init.GetAckDeadline().AsDuration(), Results: r.Init.GetSettleResults(),
		}
	case *eventsv1.SubscribeRequest_Credit:
		return session.Credit(r.Credit.GetMessages())
	case *eventsv1.SubscribeRequest_Settle:
		return settlements(r.Settle.GetSettlements())
	case *eventsv1.SubscribeRequest_Extend:
		if len(r.Extend.GetTokens()) > session.MaxTokens {
			return tooMany("extend.tokens")
		}
		return session.Extend{Tokens: r.Extend.GetTokens(), By: r.Extend.GetAckDeadline().AsDuration()}
	default:
		return session.Wrong{Err: refusal.Field(refusal.InvalidRequest, "request", "must be credit, settle or extend")}
	}
}

func tooMany(field string) session.Request {
	return session.Wrong{Err: refusal.Field(refusal.InvalidRequest, field, fmt.Sprintf("must be at most %d", session.MaxTokens))}
}

func settlements(in []*eventsv1.Settlement) session.Request {
	if len(in) > session.MaxTokens {
		return tooMany("settle.settlements")
	}
	out := make(session.Settlements, len(in))
	for i, s := range in {
		out[i] = session.Settlement{
			Token: s.GetToken(), Outcome: outcomeOf(s.GetOutcome()), After: s.GetRetryAfter().AsDuration(), Reason: s.GetReason(),
		}
	}
	return out
}

func outcomeOf(o eventsv1.Outcome) event.Outcome {
	switch o {
	case eventsv1.Outcome_OUTCOME_ACK:
		return event.Ack
	case eventsv1.Outcome_OUTCOME_RETRY:
		return event.Retry
	case eventsv1.Outcome_OUTCOME_DEAD_LETTER:
		return event.DeadLetter
	default:
		return event.Unsaid
	}
}

// Send implements session.Stream.
func (s subscribeStream) Send(r session.Response) error {
	if len(r.Deliveries) > 0 {
		out := handedOut{Response: r}
		err := s.SendMsg(&out) // appends it
		s.metrics.Fast(metrics.DeliveryEncode, len(r.Deliveries)-out.encoded)
		s.metrics.Slow(metrics.DeliveryEncode, out.encoded)
		return err
	}
	out := &eventsv1.SubscribeResponse{RemainingCredit: r.Credit}
	switch {
	case r.Ready != nil:
		out.Response = &eventsv1.SubscribeResponse_Ready{Ready: &eventsv1.SubscribeReady{
			Subscription: r.Ready.Subscription, Topic: r.Ready.Topic,
			MaxOutstandingMessages: r.Ready.MaxMessages, AckDeadline: durationpb.New(r.Ready.AckDeadline),
			OtherReceivers: r.Ready.Others,
		}}
	case len(r.Settled) > 0:
		list := make([]*eventsv1.SettleResult, len(r.Settled))
		for i, x := range r.Settled {
			list[i] = &eventsv1.SettleResult{Token: x.Token, Status: statusOf(x.Err)}
		}
		out.Response = &eventsv1.SubscribeResponse_Settled{Settled: &eventsv1.SubscribeSettled{Results: list}}
	default:
		out.Response = &eventsv1.SubscribeResponse_Heartbeat{Heartbeat: &eventsv1.SubscribeHeartbeat{}}
	}
	return s.BidiStreamingServer.Send(out)
}

func deliveryOf(h *delivery.Handed) *eventsv1.Delivery {
	return &eventsv1.Delivery{
		Token:        h.Token,
		Event:        eventpb.ToProto(h.Event),
		Attempt:      h.Attempt,
		Redelivered:  h.Redelivered,
		TraceContext: tracecontext.Hop(h.Trace).Entry(),
		Topic:        h.Topic,
		AckDeadline:  timestamppb.New(h.Deadline),
		Headers:      eventpb.HeadersToProto(h.Headers),
		ReplyTo:      h.ReplyTo, ContentEncoding: h.ContentEncoding,
	}
}
