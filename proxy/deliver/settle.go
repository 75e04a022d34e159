package deliver

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/rpcerr"
)

// outcome is what is to be done with a delivery.
type outcome struct {
	kind   eventsv1.Outcome
	after  time.Duration // with retry: the service's wish, 0 for none
	reason string        // of the dead letter, should it become one
	detail string        // the service's words
}

func (ss *session) handle(req *eventsv1.SubscribeRequest) error {
	switch r := req.GetRequest().(type) {
	case *eventsv1.SubscribeRequest_Credit:
		ss.credit = uint32(min(uint64(ss.credit)+uint64(r.Credit.GetMessages()), maxCredit))
		return nil
	case *eventsv1.SubscribeRequest_Settle:
		return ss.settleAll(r.Settle.GetSettlements())
	case *eventsv1.SubscribeRequest_Extend:
		return ss.extend(r.Extend)
	case *eventsv1.SubscribeRequest_Init:
		return rpcerr.Field(rpcerr.InvalidRequest, "init", "may be sent only once, as the first message")
	default:
		return rpcerr.Field(rpcerr.InvalidRequest, "request", "must be credit, settle or extend")
	}
}

func (ss *session) settleAll(settlements []*eventsv1.Settlement) error {
	var results []*eventsv1.SettleResult
	for _, s := range settlements {
		err := ss.settle(s)
		if err != nil || ss.limits.results {
			results = append(results, result(s.GetToken(), err))
		}
	}
	return ss.answer(results)
}

func (ss *session) settle(s *eventsv1.Settlement) error {
	o := outcome{kind: s.GetOutcome(), detail: clip(s.GetReason())}
	switch o.kind {
	case eventsv1.Outcome_OUTCOME_ACK:
	case eventsv1.Outcome_OUTCOME_RETRY:
		o.reason, o.after = reasonExhausted, s.GetRetryAfter().AsDuration()
		if o.after < 0 {
			return rpcerr.Field(rpcerr.InvalidRequest, "retry_after", "must not be negative")
		}
	case eventsv1.Outcome_OUTCOME_DEAD_LETTER:
		o.reason = reasonRejected
	default:
		return rpcerr.Field(rpcerr.InvalidRequest, "outcome", "must be OUTCOME_ACK, OUTCOME_RETRY or OUTCOME_DEAD_LETTER")
	}
	h := ss.held.take(s.GetToken())
	if h == nil {
		ss.service.stale.Add(1)
		return rpcerr.New(codes.FailedPrecondition, rpcerr.AckIDInvalid,
			"the token is unknown, settled, past its deadline, or of a connection that was lost; the event is delivered again unless it was settled")
	}
	return ss.conclude(h, o)
}

// conclude carries an outcome out. An ack is done at once; what needs the
// broker's confirm goes on beside the session, so that one slow confirm does not
// hold up the stream.
func (ss *session) conclude(h *handout, o outcome) error {
	if o.kind == eventsv1.Outcome_OUTCOME_ACK {
		err := ss.ackSpanned(h.spanCtx, h.Delivery, h.process)
		h.span.End(nil)
		if err != nil {
			return rpcerr.New(codes.FailedPrecondition, rpcerr.AckIDInvalid, "the broker connection was lost; the event is delivered again")
		}
		ss.showSettled(h.Delivery, effectAck, "", h.at)
		return nil
	}
	ss.settling.Go(func() {
		effect := ss.fail(context.WithoutCancel(ss.stream.Context()), h.Delivery, o)
		ss.showSettled(h.Delivery, effect, o.why(effect), h.at)
		h.span.End(handlerError{o.reason, o.detail})
	})
	return nil
}

// handlerError is a service's negative outcome, as telemetry sees it.
type handlerError struct{ reason, detail string }

func (e handlerError) Error() string     { return e.reason + ": " + e.detail }
func (e handlerError) ErrorType() string { return "handler-error" }

// expire treats deliveries whose deadline has passed as failed.
func (ss *session) expire(now time.Time) {
	for _, h := range ss.held.expired(now) {
		_ = ss.conclude(h, outcome{kind: eventsv1.Outcome_OUTCOME_RETRY, reason: reasonAckDeadline, detail: "not settled within its ack deadline"}) // only an ack can fail
	}
}

func (ss *session) extend(req *eventsv1.SubscribeExtend) error {
	by := req.GetAckDeadline().AsDuration()
	if by < 0 || by > maxAckDeadline {
		return rpcerr.Field(rpcerr.InvalidRequest, "extend.ack_deadline", "must be between 0 and "+maxAckDeadline.String())
	}
	if by == 0 {
		by = ss.ackDeadline()
	}
	deadline := time.Now().Add(by)
	var results []*eventsv1.SettleResult
	for _, token := range req.GetTokens() {
		var err error
		if !ss.held.extend(token, deadline) {
			err = rpcerr.New(codes.FailedPrecondition, rpcerr.AckIDInvalid, "the token is unknown, settled, or past its deadline")
		}
		if err != nil || ss.limits.results {
			results = append(results, result(token, err))
		}
	}
	return ss.answer(results)
}

func (ss *session) answer(results []*eventsv1.SettleResult) error {
	if len(results) == 0 {
		return nil
	}
	return ss.send(&eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Settled{Settled: &eventsv1.SubscribeSettled{Results: results}}})
}

func result(token string, err error) *eventsv1.SettleResult {
	r := &eventsv1.SettleResult{Token: token}
	if err != nil {
		p := status.Convert(err).Proto()
		r.Status = &eventsv1.Status{Code: p.GetCode(), Message: p.GetMessage(), Details: p.GetDetails()}
	}
	return r
}
