package grpc

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/session"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/event/eventpb"
	"github.com/warrenmesh/warren/tracing/tracecontext"
)

// The numbers of the fields that are written and read here without protobuf's messages.
const (
	responseDeliveries protowire.Number = 2
	responseCredit     protowire.Number = 5
	listedDelivery     protowire.Number = 1

	deliveryToken    protowire.Number = 1
	deliveryEvent    protowire.Number = 2
	deliveryAttempt  protowire.Number = 3
	deliveryAgain    protowire.Number = 4
	deliveryTrace    protowire.Number = 5
	deliveryTopic    protowire.Number = 6
	deliveryDeadline protowire.Number = 7
	deliveryReplyTo  protowire.Number = 9
	deliveryEncoding protowire.Number = 10

	requestSettle     protowire.Number = 3
	listedSettlement  protowire.Number = 1
	settlementToken   protowire.Number = 1
	settlementOutcome protowire.Number = 2
)

// beside is about how many bytes a delivery has beside its data.
const beside = 200

// handedOut is a SubscribeResponse with deliveries.
type handedOut struct {
	session.Response
	encoded int // deliveries that appendTo made messages of
}

func (r *handedOut) size() int { return r.Size() }

func (r *handedOut) appendTo(b []byte) ([]byte, error) {
	b, list := eventpb.BeginLarge(b, responseDeliveries, r.size())
	for i := range r.Deliveries {
		var one eventpb.Open
		var err error
		h := &r.Deliveries[i]
		b, one = eventpb.BeginLarge(b, listedDelivery, len(h.Event.Data)+beside)
		if plain(h) {
			b = appendDelivery(b, h)
		} else if b, err = (proto.MarshalOptions{}).MarshalAppend(b, deliveryOf(h)); err != nil {
			return b, err
		} else {
			r.encoded++
		}
		b = eventpb.EndLarge(b, one)
	}
	return eventpb.AppendVarint(eventpb.EndLarge(b, list), responseCredit, uint64(r.Credit)), nil
}

// plain reports whether h has no headers, and no texts of others that protobuf has to look
// at.
func plain(h *delivery.Handed) bool {
	return len(h.Headers) == 0 && utf8.ValidString(h.ReplyTo) && utf8.ValidString(h.ContentEncoding)
}

// appendDelivery appends the wire form of deliveryOf(h), which is plain, without making that.
func appendDelivery(b []byte, h *delivery.Handed) []byte {
	b = eventpb.AppendString(b, deliveryToken, h.Token)
	b, at := eventpb.BeginLarge(b, deliveryEvent, len(h.Event.Data)+beside)
	b = eventpb.EndLarge(eventpb.AppendEvent(b, h.Event), at)
	b = eventpb.AppendVarint(b, deliveryAttempt, uint64(h.Attempt))
	b = eventpb.AppendVarint(b, deliveryAgain, protowire.EncodeBool(h.Redelivered))
	b = appendTrace(b, h.Trace)
	b = eventpb.AppendString(b, deliveryTopic, h.Topic)
	b = eventpb.AppendTime(b, deliveryDeadline, h.Deadline.Unix(), h.Deadline.Nanosecond())
	b = eventpb.AppendString(b, deliveryReplyTo, h.ReplyTo)
	return eventpb.AppendString(b, deliveryEncoding, h.ContentEncoding)
}

func appendTrace(b []byte, t broker.TraceContext) []byte {
	for _, kv := range [...][2]string{{tracecontext.HeaderParent, t.Parent}, {tracecontext.HeaderState, t.State}, {tracecontext.HeaderBaggage, t.Baggage}} {
		if kv[1] != "" {
			b = eventpb.AppendEntry(b, deliveryTrace, kv[0], kv[1])
		}
	}
	return b
}

// subscribeRequest is a SubscribeRequest.
type subscribeRequest struct {
	request session.Request
	decoded bool // it was a message first
}

func (*subscribeRequest) empty() proto.Message { return &eventsv1.SubscribeRequest{} }

func (r *subscribeRequest) take(m proto.Message) {
	req, _ := m.(*eventsv1.SubscribeRequest)
	r.request, r.decoded = askedBy(req), true
}

func (r *subscribeRequest) scan(b []byte) bool {
	acks, ok := acknowledgements(b)
	if ok {
		r.request = acks
	}
	return ok
}

// acknowledgements reads a request that does nothing but acknowledge, which is what most of
// them do. ok is false for any other, and for one that protobuf has to look at.
func acknowledgements(b []byte) (session.Request, bool) {
	number, kind, n := protowire.ConsumeTag(b)
	if n < 0 || number != requestSettle || kind != protowire.BytesType {
		return nil, false
	}
	list, m := protowire.ConsumeBytes(b[n:])
	if m < 0 || n+m != len(b) || !utf8.Valid(list) {
		return nil, false
	}
	text := string(list) // one copy, which every token shares
	count := 0
	for rest := list; len(rest) > 0; count++ {
		if number, kind, n = protowire.ConsumeTag(rest); n < 0 || number != listedSettlement || kind != protowire.BytesType {
			return nil, false
		}
		if m = protowire.ConsumeFieldValue(number, kind, rest[n:]); m < 0 {
			return nil, false
		}
		rest = rest[n+m:]
	}
	if count > session.MaxTokens {
		return tooMany("settle.settlements"), true
	}
	out := make(session.Settlements, 0, count)
	for at := 0; at < len(list); {
		_, _, n = protowire.ConsumeTag(list[at:])
		one, m := protowire.ConsumeBytes(list[at+n:])
		end := at + n + m
		token, ok := acknowledged(one, text[end-len(one):end])
		if !ok {
			return nil, false
		}
		out = append(out, session.Settlement{Token: token, Outcome: event.Ack})
		at = end
	}
	return out, true
}

// acknowledged reads a settlement with nothing but a token and OUTCOME_ACK; text is b.
func acknowledged(b []byte, text string) (token string, ok bool) {
	for at := 0; at < len(b); {
		number, kind, n := protowire.ConsumeTag(b[at:])
		if n < 0 {
			return "", false
		}
		at += n
		switch {
		case number == settlementToken && kind == protowire.BytesType:
			value, n := protowire.ConsumeBytes(b[at:])
			if n < 0 {
				return "", false
			}
			at += n
			token = text[at-len(value) : at]
		case number == settlementOutcome && kind == protowire.VarintType:
			value, n := protowire.ConsumeVarint(b[at:])
			if n < 0 {
				return "", false
			}
			at += n
			ok = value == uint64(eventsv1.Outcome_OUTCOME_ACK)
		default:
			return "", false
		}
	}
	return token, ok && utf8.ValidString(token)
}
