package server

import (
	"slices"
	"strings"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/warrenmesh/warren/tracing/configuration"
	"github.com/warrenmesh/warren/xds/wire"
)

// maxUnanswered bounds the responses of a stream that wait for their ACK; beyond
// it the oldest is forgotten and its resources stay Sent.
const maxUnanswered = 64

// response is what one nonce carried: versions by name.
type response struct {
	nonce    string
	typeURL  string
	versions map[string]string
	span     configuration.Span // until the answer
}

// responded notes a response that is about to be sent. One that a change made
// necessary gets a span, whose context travels in its resources' metadata.
func (s *stream) responded(resp *discoveryv3.DeltaDiscoveryResponse) {
	if s.mute {
		return
	}
	cause, _ := s.server.cache.current().causeOf(resp, s.server.now())
	s.server.traffic.of(resp.GetTypeUrl()).pushes.Add(1)
	s.mu.Lock()
	s.record(resp, s.startPush(resp, cause))
	s.mu.Unlock()
	s.server.changed.notify()
}

// record notes what a response carries, before it is sent. mu is held.
func (s *stream) record(resp *discoveryv3.DeltaDiscoveryResponse, span configuration.Span) {
	now, sub := s.server.now(), s.subs[resp.GetTypeUrl()]
	versions := make(map[string]string, len(resp.GetResources()))
	for _, r := range resp.GetResources() {
		state := s.state(key{resp.GetTypeUrl(), r.GetName()})
		state.Version, state.State, state.Error, state.Since = r.GetVersion(), Sent, "", now
		versions[r.GetName()] = r.GetVersion()
		delete(sub.missing, r.GetName())
	}
	for _, name := range resp.GetRemovedResources() {
		k := key{resp.GetTypeUrl(), name}
		if _, named := sub.names[name]; !named || !sub.miss(name) {
			delete(s.resources, k)
			continue
		}
		*s.state(k) = ResourceState{TypeURL: k.typeURL, Name: name, State: DoesNotExist, Since: now}
	}
	if len(s.unanswered) == maxUnanswered {
		s.unanswered[0].span.End(errForgotten)
		s.unanswered = slices.Delete(s.unanswered, 0, 1)
	}
	s.unanswered = append(s.unanswered, response{resp.GetNonce(), resp.GetTypeUrl(), versions, span})
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
	s.unanswered = slices.Delete(s.unanswered, i, i+1)
	s.server.traffic.answered(answered.typeURL, req)
	refused := refusals(answered, req)
	answered.span.End(refusal(req))
	now := s.server.now()
	var out []ResourceState
	for name, version := range answered.versions {
		r := s.resources[key{answered.typeURL, name}]
		if r == nil {
			continue // unsubscribed meanwhile
		}
		reason, isRefused := refused[name]
		switch {
		case !isRefused:
			r.Acked = version
			if r.Version == version {
				r.State, r.Error, r.Since = Acked, "", now
			}
		case r.Version == version:
			r.State, r.Error, r.Since = Nacked, reason, now
			out = append(out, *r)
		}
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
func refusals(r response, req *discoveryv3.DeltaDiscoveryRequest) map[string]string {
	if req.GetErrorDetail() == nil {
		return nil
	}
	text := req.GetErrorDetail().GetMessage()
	out := map[string]string{}
	for _, rejection := range wire.ParseRejections(text) {
		if _, ok := r.versions[rejection.Resource]; ok {
			out[rejection.Resource] = cut(rejection.Error)
		}
	}
	if len(out) > 0 {
		return out
	}
	text = cut(text)
	for name := range r.versions {
		out[name] = text
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
