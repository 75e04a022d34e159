package server

import (
	"slices"
	"strconv"
	"strings"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/warrenmesh/warren/tracing/configuration"
	"github.com/warrenmesh/warren/xds/wire"
)

// maxUnanswered bounds the responses of a stream that wait for their ACK; beyond
// it the oldest is forgotten and its resources stay Sent.
const maxUnanswered = 64

// response is what one nonce carried.
type response struct {
	nonce   string
	typeURL string
	sent    []*entry
	span    configuration.Span // until the answer
}

// carries reports whether a resource was in it.
func (r *response) carries(name string) bool {
	return slices.ContainsFunc(r.sent, func(e *entry) bool { return e.name == name })
}

// respond makes the response for a difference and notes it as sent. One that a change
// made necessary gets a span, whose context travels in its resources' metadata. mu is
// held.
func (s *stream) respond(v *view, sub *subscription, d *difference) (*message, error) {
	s.nonce++
	nonce := strconv.FormatUint(s.nonce, 10)
	cause, _ := v.causeOf(d, s.server.now())
	span, metadata, err := s.startPush(d, cause)
	if err != nil {
		return nil, err
	}
	s.server.traffic.of(d.typeURL).pushes.Add(1)
	s.record(sub, d, response{nonce, d.typeURL, d.changed, span})
	return newMessage(d.response(v.version, nonce), d.changed, metadata)
}

// record notes what a response carries, before it is sent. mu is held.
func (s *stream) record(sub *subscription, d *difference, r response) {
	now := s.server.now()
	for _, e := range d.changed {
		sub.exists(e.name)
		state := &sub.row(e.name).state
		state.version, state.state, state.err, state.since = e.version, Sent, "", now
		s.recount(e.key)
	}
	for _, name := range d.removed {
		if sub.isNamed(name) {
			sub.miss(name, now)
		} else {
			sub.lose(name)
		}
		s.recount(key{sub.kind, name})
	}
	if len(s.unanswered) == maxUnanswered {
		s.unanswered[0].span.End(errForgotten)
		s.unanswered = slices.Delete(s.unanswered, 0, 1)
	}
	s.unanswered = append(s.unanswered, r)
}

// answer applies an ACK or NACK and returns the resources it refuses. A resource that
// a NACK does not name was applied (gRFC A46). A NACK that names none refuses all. mu
// is held.
func (s *stream) answer(req *discoveryv3.DeltaDiscoveryRequest) []ResourceState {
	i := slices.IndexFunc(s.unanswered, func(r response) bool { return r.nonce == req.GetResponseNonce() })
	if i < 0 {
		return nil // a spontaneous request, or an answer too late
	}
	answered := s.unanswered[i]
	if s.unanswered = slices.Delete(s.unanswered, i, i+1); len(s.unanswered) == 0 {
		s.unanswered = nil // most streams wait for days
	}
	s.server.traffic.answered(answered.typeURL, req)
	refused := refusals(&answered, req)
	answered.span.End(refusal(req))
	now := s.server.now()
	var out []ResourceState
	for _, e := range answered.sent {
		r := s.state(e.key)
		if r == nil {
			continue // unsubscribed meanwhile
		}
		reason, isRefused := refused[e.name]
		switch {
		case !isRefused:
			r.acked = e.version
			if r.version == e.version {
				r.state, r.err, r.since = Acked, "", now
			}
		case r.version == e.version:
			r.state, r.err, r.since = Nacked, reason, now
			out = append(out, r.resource(answered.typeURL, e.name))
		}
		s.recount(e.key)
	}
	return out
}

// tell logs what was refused.
func (s *stream) tell(rejected []ResourceState) {
	logger := s.server.logger
	for _, r := range rejected[:min(len(rejected), maxLoggedRejections)] {
		logger.Warn("resource rejected", "node", s.node.ID, "type", r.TypeURL, "resource", r.Name, "version", r.Version, "error", r.Error)
	}
	if more := len(rejected) - maxLoggedRejections; more > 0 {
		logger.Warn("more resources rejected", "node", s.node.ID, "resources", more)
	}
}

// refusals returns the reason of each resource of r that req refuses.
func refusals(r *response, req *discoveryv3.DeltaDiscoveryRequest) map[string]string {
	if req.GetErrorDetail() == nil {
		return nil
	}
	text := req.GetErrorDetail().GetMessage()
	out := map[string]string{}
	for _, rejection := range wire.ParseRejections(text) {
		if r.carries(rejection.Resource) {
			out[rejection.Resource] = cut(rejection.Error)
		}
	}
	if len(out) > 0 {
		return out
	}
	text = cut(text)
	for _, e := range r.sent {
		out[e.name] = text
	}
	return out
}

// cut bounds text from peers. It copies, so that the whole text can be freed.
func cut(text string) string {
	if len(text) <= maxErrorBytes {
		return text
	}
	return strings.ToValidUTF8(strings.Clone(text[:maxErrorBytes]), "") + "…"
}
