package server

import (
	"cmp"
	"maps"
	"slices"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/wire"
)

// maxUnanswered bounds the responses of a stream that wait for their ACK; beyond
// it the oldest is forgotten and its resources stay Sent.
const maxUnanswered = 64

// stream is one connection's state, guarded by the tracker's mu.
type stream struct {
	id          int64
	node        xds.Node // zero until the first request
	peer        string
	connectedAt time.Time
	now         func() time.Time
	resources   map[key]*ResourceState
	named       map[key]struct{} // subscribed by name
	unanswered  []response       // oldest first
}

type key struct{ typeURL, name string }

// response is what one nonce carried: versions by name.
type response struct {
	nonce    string
	typeURL  string
	versions map[string]string
	span     tracing.Span // until the answer
}

func (s *stream) sidecar() Sidecar {
	out := Sidecar{Node: s.node, Peer: s.peer, ConnectedAt: s.connectedAt}
	for _, r := range s.resources {
		out.Resources = append(out.Resources, *r)
	}
	slices.SortFunc(out.Resources, func(a, b ResourceState) int {
		types := xds.TypeURLs()
		return cmp.Or(cmp.Compare(slices.Index(types, a.TypeURL), slices.Index(types, b.TypeURL)), cmp.Compare(a.Name, b.Name))
	})
	return out
}

const wildcard = "*"

func (s *stream) subscribe(req *discoveryv3.DeltaDiscoveryRequest) {
	typeURL := req.GetTypeUrl()
	for _, name := range req.GetResourceNamesSubscribe() {
		s.named[key{typeURL, name}] = struct{}{}
	}
	for name, version := range req.GetInitialResourceVersions() {
		if s.wants(key{typeURL, name}) {
			*s.state(key{typeURL, name}) = ResourceState{TypeURL: typeURL, Name: name, Version: version, Acked: version, State: Acked, Since: s.now()}
		}
	}
	for _, name := range req.GetResourceNamesUnsubscribe() {
		delete(s.named, key{typeURL, name})
		maps.DeleteFunc(s.resources, func(k key, _ *ResourceState) bool {
			return k.typeURL == typeURL && (k.name == name || name == wildcard && !s.wants(k))
		})
	}
}

// wants tells whether k is subscribed, by its name or by the wildcard.
func (s *stream) wants(k key) bool {
	_, all := s.named[key{k.typeURL, wildcard}]
	_, named := s.named[k]
	return all || named
}

// record notes what a response carries, before it is sent.
func (s *stream) record(resp *discoveryv3.DeltaDiscoveryResponse, span tracing.Span) {
	versions := make(map[string]string, len(resp.GetResources()))
	for _, r := range resp.GetResources() {
		state := s.state(key{resp.GetTypeUrl(), r.GetName()})
		state.Version, state.State, state.Error, state.Since = r.GetVersion(), Sent, "", s.now()
		versions[r.GetName()] = r.GetVersion()
	}
	for _, name := range resp.GetRemovedResources() {
		k := key{resp.GetTypeUrl(), name}
		if _, named := s.named[k]; !named {
			delete(s.resources, k)
			continue
		}
		*s.state(k) = ResourceState{TypeURL: k.typeURL, Name: name, State: DoesNotExist, Since: s.now()}
	}
	if len(s.unanswered) == maxUnanswered {
		s.unanswered[0].span.End(errForgotten)
		s.unanswered = slices.Delete(s.unanswered, 0, 1)
	}
	s.unanswered = append(s.unanswered, response{resp.GetNonce(), resp.GetTypeUrl(), versions, span})
}

func (s *stream) state(k key) *ResourceState {
	if s.resources[k] == nil {
		s.resources[k] = &ResourceState{TypeURL: k.typeURL, Name: k.name}
	}
	return s.resources[k]
}

// settle applies the verdict of an ACK or NACK and returns what is refused by it.
// A resource that a NACK does not name was applied (gRFC A46); one that names none
// refuses all.
func (s *stream) settle(req *discoveryv3.DeltaDiscoveryRequest) []ResourceState {
	i := slices.IndexFunc(s.unanswered, func(r response) bool { return r.nonce == req.GetResponseNonce() })
	if i < 0 {
		return nil // a spontaneous request, or an answer too late
	}
	answered := s.unanswered[i]
	s.unanswered = slices.Delete(s.unanswered, i, i+1)
	refused := refusals(answered, req)
	answered.span.End(refusal(req))
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
				r.State, r.Error, r.Since = Acked, "", s.now()
			}
		case r.Version == version:
			r.State, r.Error, r.Since = Nacked, reason, s.now()
			out = append(out, *r)
		}
	}
	return out
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
			out[rejection.Resource] = rejection.Error
		}
	}
	if len(out) > 0 {
		return out
	}
	for name := range r.versions {
		out[name] = text
	}
	return out
}
