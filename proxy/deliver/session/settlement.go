package session

import (
	"time"

	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/refusal"
)

const (
	// MaxTokens bounds the tokens of one request: no stream can hold more.
	MaxTokens = 1 << 16
	// maxResults bounds the results of one message.
	maxResults = 1024
)

func (ss *session) handle(req Request) error {
	switch r := req.(type) {
	case Credit:
		ss.credit = uint32(min(uint64(ss.credit)+uint64(r), maxCredit))
		return nil
	case Settlements:
		ss.settleAll(r)
		return nil
	case Extend:
		return ss.extend(r)
	case Init:
		return refusal.Field(refusal.InvalidRequest, "init", "may be sent only once, as the first message")
	case Wrong:
		return r.Err
	}
	return nil // there are no others: Request is sealed
}

// settleAll carries settlements out. What is known at once is answered at once;
// what needs the broker's confirm is answered when that is there.
func (ss *session) settleAll(settlements Settlements) {
	release := func() {}
	gathered, acks := len(settlements) == 1, 0
	now := time.Now()
	defer func() { release(); ss.Acknowledges(acks) }()
	for i := range settlements {
		s := &settlements[i]
		o, err := outcomeOf(s)
		if err != nil {
			ss.answer(s.Token, err)
			continue
		}
		h := ss.held.take(s.Token)
		switch {
		case h == nil:
			ss.tooLate(s.Token, o)
			ss.answer(s.Token, errUnknownToken)
		case o.Kind == event.Ack:
			if !gathered {
				release, gathered = h.Gather(), true
			}
			acks++
			now, err = ss.acknowledge(h, now)
			ss.answer(s.Token, err)
		default:
			ss.conclude(h, o, true)
		}
	}
}

// tooLate takes an outcome that the broker cannot be told. That the service is done
// with the event is remembered all the same.
func (ss *session) tooLate(token string, o settler.Outcome) {
	ss.TooLate()
	if d := ss.lapsed[token]; d != nil && o.Kind == event.Ack {
		delete(ss.lapsed, token)
		ss.Remember(d)
	}
}

func outcomeOf(s *Settlement) (settler.Outcome, error) {
	o := settler.Outcome{Kind: s.Outcome, Detail: settler.Clip(s.Reason)}
	switch o.Kind {
	case event.Ack:
	case event.Retry:
		o.Reason, o.After = settler.ReasonExhausted, s.After
		if o.After < 0 {
			return o, refusal.Field(refusal.InvalidRequest, "retry_after", "must not be negative")
		}
	case event.DeadLetter:
		o.Reason = settler.ReasonRejected
	default:
		return o, refusal.Field(refusal.InvalidRequest, "outcome", "must be OUTCOME_ACK, OUTCOME_RETRY or OUTCOME_DEAD_LETTER")
	}
	return o, nil
}

// Why a token has no effect; shared, for a client can send any number of them.
var (
	errUnknownToken = noEffect(refusal.AckIDInvalid,
		"the token is unknown, settled, past its deadline, or of a connection that was lost; the event is delivered again unless it was settled")
	errStaleToken  = noEffect(refusal.AckIDInvalid, "the broker connection was lost; the event is delivered again")
	errHeldTooLong = noEffect(refusal.InvalidRequest,
		"the deadline was not moved: a delivery can be held for "+settler.MaxHold.String()+" in all; settle it by its present deadline")
)

func noEffect(reason, text string) error {
	return &refusal.Error{Class: refusal.Precondition, Reason: reason, Text: text, Eventless: true, Shared: true}
}

// acknowledge begins at begun, and returns when it ended, and nil when the broker is being
// told. No broker need answer an acknowledgement: one that is lost with its connection
// brings the event again. Nobody has h afterwards.
func (ss *session) acknowledge(h *handout, begun time.Time) (ended time.Time, err error) {
	ended, err = ss.Ack(&h.Attempt, begun)
	h.Acknowledged()
	h.EndAt(ended, nil) // the service did its part
	ss.held.free(h)
	if err != nil {
		return ended, errStaleToken
	}
	return ended, nil
}

// conclude carries a negative outcome out. It needs the broker's confirm and goes
// on beside the session, so that a slow one does not hold up the stream.
func (ss *session) conclude(h *handout, o settler.Outcome, asked bool) {
	ss.settling.Go(func() {
		o := o.Judged(h.Delivery)
		err := ss.Conclude(&h.Attempt, o)
		h.End(o.Err())
		if asked {
			ss.concluded <- Settled{h.token, refusal.FromBroker(err)}
		}
	})
}

// expire treats deliveries whose deadline has passed as failed.
func (ss *session) expire(now time.Time) {
	for _, h := range ss.held.expired(now) {
		ss.conclude(h, settler.Outcome{Kind: event.Retry, Reason: settler.ReasonAckDeadline, Detail: "not settled within its ack deadline"}, false)
	}
}

func (ss *session) extend(req Extend) error {
	by := req.By
	if by < 0 || by > maxAckDeadline {
		return refusal.Field(refusal.InvalidRequest, "extend.ack_deadline", "must be between 0 and "+maxAckDeadline.String())
	}
	now := time.Now()
	for _, token := range req.Tokens {
		ss.answer(token, ss.extendOne(token, now, by))
	}
	return nil
}

func (ss *session) extendOne(token string, now time.Time, by time.Duration) error {
	h := ss.held.byToken[token]
	if h == nil {
		return errUnknownToken
	}
	if by == 0 {
		by = ss.ackDeadline(h.Subscription)
	}
	deadline := now.Add(by)
	if deadline.After(h.latest) {
		return errHeldTooLong
	}
	ss.held.extend(h, deadline)
	return nil
}

// answer takes down the result of a request, nil meaning that it took effect.
func (ss *session) answer(token string, err error) { ss.note(Settled{token, err}) }

// note takes a result down, unless the client does not want to know.
func (ss *session) note(r Settled) {
	if r.Err == nil && !ss.limits.results {
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
	ss.say(Response{Settled: ss.results})
	ss.results = nil
}
