package deliver

import (
	"fmt"
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
	begun  time.Time     // when it was handed out
}

const (
	// maxTokens bounds the tokens of one request: no stream can hold more.
	maxTokens = 1 << 16
	// maxResults bounds the results of one message.
	maxResults = 1024
)

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

// settleAll carries settlements out. What is known at once is answered at once;
// what needs the broker's confirm is answered when that is there.
func (ss *session) settleAll(settlements []*eventsv1.Settlement) error {
	if len(settlements) > maxTokens {
		return rpcerr.Field(rpcerr.InvalidRequest, "settle.settlements", fmt.Sprintf("must be at most %d", maxTokens))
	}
	for _, s := range settlements {
		o, err := outcomeOf(s)
		if err != nil {
			ss.answer(s.GetToken(), toStatus(err))
			continue
		}
		h := ss.held.take(s.GetToken())
		switch {
		case h == nil:
			ss.tooLate(s.GetToken(), o)
			ss.answer(s.GetToken(), unknownToken)
		case o.kind == eventsv1.Outcome_OUTCOME_ACK:
			ss.answer(s.GetToken(), ss.acknowledge(h))
		default:
			ss.conclude(h, o, true)
		}
	}
	return nil
}

// tooLate takes an outcome that the broker cannot be told. That the service is done
// with the event is remembered all the same.
func (ss *session) tooLate(token string, o outcome) {
	ss.service.stale.Add(1)
	if d := ss.lapsed[token]; d != nil && o.kind == eventsv1.Outcome_OUTCOME_ACK {
		delete(ss.lapsed, token)
		ss.remember(d)
	}
}

func outcomeOf(s *eventsv1.Settlement) (outcome, error) {
	o := outcome{kind: s.GetOutcome(), detail: clip(s.GetReason())}
	switch o.kind {
	case eventsv1.Outcome_OUTCOME_ACK:
	case eventsv1.Outcome_OUTCOME_RETRY:
		o.reason, o.after = reasonExhausted, s.GetRetryAfter().AsDuration()
		if o.after < 0 {
			return o, rpcerr.Field(rpcerr.InvalidRequest, "retry_after", "must not be negative")
		}
	case eventsv1.Outcome_OUTCOME_DEAD_LETTER:
		o.reason = reasonRejected
	default:
		return o, rpcerr.Field(rpcerr.InvalidRequest, "outcome", "must be OUTCOME_ACK, OUTCOME_RETRY or OUTCOME_DEAD_LETTER")
	}
	return o, nil
}

// Why a token has no effect; shared, for a client can send any number of them.
var (
	unknownToken = toStatus(rpcerr.New(codes.FailedPrecondition, rpcerr.AckIDInvalid,
		"the token is unknown, settled, past its deadline, or of a connection that was lost; the event is delivered again unless it was settled"))
	staleToken = toStatus(rpcerr.New(codes.FailedPrecondition, rpcerr.AckIDInvalid,
		"the broker connection was lost; the event is delivered again"))
	heldTooLong = toStatus(rpcerr.New(codes.FailedPrecondition, rpcerr.InvalidRequest,
		"the deadline was not moved: a delivery can be held for "+maxHold.String()+" in all; settle it by its present deadline"))
)

// acknowledge returns nil when the broker is being told. AMQP answers no
// acknowledgement: one that is lost with its connection brings the event again.
func (ss *session) acknowledge(h *handout) *eventsv1.Status {
	err := ss.ackSpanned(h.spanCtx, h.Delivery, h.process)
	h.span.SetOutcome(effectAck)
	h.end(nil) // the service did its part
	if err != nil {
		return staleToken
	}
	ss.showSettled(h.Delivery, effectAck, "", h.at)
	return nil
}

// conclude carries a negative outcome out. It needs the broker's confirm and goes
// on beside the session, so that a slow one does not hold up the stream.
func (ss *session) conclude(h *handout, o outcome, asked bool) {
	o.begun = h.at
	ss.settling.Go(func() {
		o := judged(h.Delivery, o)
		effect, err := ss.fail(h.Delivery, o)
		if err == nil {
			h.span.SetOutcome(effect)
			ss.showSettled(h.Delivery, effect, o.why(effect), h.at)
		}
		h.end(handlerError{o.reason, o.detail})
		if asked {
			ss.concluded <- result(h.token, err)
		}
	})
}

// handlerError is a service's negative outcome, as telemetry sees it.
type handlerError struct{ reason, detail string }

func (e handlerError) Error() string     { return e.reason + ": " + e.detail }
func (e handlerError) ErrorType() string { return "handler-error" }

// expire treats deliveries whose deadline has passed as failed.
func (ss *session) expire(now time.Time) {
	for _, h := range ss.held.expired(now) {
		ss.conclude(h, outcome{kind: eventsv1.Outcome_OUTCOME_RETRY, reason: reasonAckDeadline, detail: "not settled within its ack deadline"}, false)
	}
}

func (ss *session) extend(req *eventsv1.SubscribeExtend) error {
	by := req.GetAckDeadline().AsDuration()
	if by < 0 || by > maxAckDeadline {
		return rpcerr.Field(rpcerr.InvalidRequest, "extend.ack_deadline", "must be between 0 and "+maxAckDeadline.String())
	}
	if len(req.GetTokens()) > maxTokens {
		return rpcerr.Field(rpcerr.InvalidRequest, "extend.tokens", fmt.Sprintf("must be at most %d", maxTokens))
	}
	if by == 0 {
		by = ss.ackDeadline()
	}
	deadline := time.Now().Add(by)
	for _, token := range req.GetTokens() {
		switch h := ss.held.byToken[token]; {
		case h == nil:
			ss.answer(token, unknownToken)
		case deadline.After(h.latest):
			ss.answer(token, heldTooLong)
		default:
			ss.held.extend(h, deadline)
			ss.answer(token, nil)
		}
	}
	return nil
}

// answer takes down the result of a request, nil meaning that it took effect.
func (ss *session) answer(token string, st *eventsv1.Status) {
	ss.report(&eventsv1.SettleResult{Token: token, Status: st})
}

// report takes a result down, unless the client does not want to know.
func (ss *session) report(r *eventsv1.SettleResult) {
	if r.GetStatus() == nil && !ss.limits.results {
		return
	}
	if ss.results = append(ss.results, r); len(ss.results) == maxResults {
		ss.pack()
	}
}

// pack sends the results taken down since the last message of them.
func (ss *session) pack() {
	if len(ss.results) == 0 {
		return
	}
	ss.say(&eventsv1.SubscribeResponse{Response: &eventsv1.SubscribeResponse_Settled{Settled: &eventsv1.SubscribeSettled{Results: ss.results}}})
	ss.results = nil
}

// result says what became of a negative outcome.
func result(token string, err error) *eventsv1.SettleResult {
	r := &eventsv1.SettleResult{Token: token}
	if err != nil {
		r.Status = toStatus(rpcerr.FromBroker(err))
	}
	return r
}

func toStatus(err error) *eventsv1.Status {
	p := status.Convert(err).Proto()
	return &eventsv1.Status{Code: p.GetCode(), Message: p.GetMessage(), Details: p.GetDetails()}
}
