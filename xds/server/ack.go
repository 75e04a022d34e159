package server

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"

	"github.com/warrenmesh/warren/tracing/configuration"
	"github.com/warrenmesh/warren/tracing/tracecontext"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server/internal/delta"
	"github.com/warrenmesh/warren/xds/wire"
)

// maxUnanswered bounds the responses of a stream that wait for their ACK; beyond
// it the oldest is forgotten and its resources stay Sent.
const maxUnanswered = 64

// response is what one nonce carried.
type response struct {
	nonce   string
	typeURL string
	sent    []*delta.Entry
	span    configuration.Span // until the answer
}

// carries reports whether a resource was in it.
func (r *response) carries(name string) bool {
	return slices.ContainsFunc(r.sent, func(e *delta.Entry) bool { return e.Name == name })
}

// respond makes the response for a difference and notes it as sent. One that a change
// made necessary gets a span, whose context travels in its resources' metadata. mu is
// held.
func (s *stream) respond(v *delta.View, sub *delta.Subscription, d *delta.Difference) (*delta.Message, error) {
	s.nonce++
	nonce := strconv.FormatUint(s.nonce, 10)
	now := s.server.now()
	span, metadata, err := s.startPush(d, v.CauseOf(d, now))
	if err != nil {
		return nil, err
	}
	s.server.traffic.of(d.TypeURL).pushes.Add(1)
	sub.Sent(d, now)
	s.recount(d.Keys()...)
	s.expect(response{nonce, d.TypeURL, d.Changed, span})
	return d.Message(v, nonce, metadata)
}

// expect notes a response whose answer is due. mu is held.
func (s *stream) expect(r response) {
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
	counts := make([]delta.Key, 0, len(answered.sent))
	var out []ResourceState
	for _, e := range answered.sent {
		is := s.status(e.Key)
		if is == nil {
			continue // unsubscribed meanwhile
		}
		if reason, isRefused := refused[e.Name]; !isRefused {
			is.Ack(e.Version, now)
		} else if is.Nack(e.Version, reason, now) {
			out = append(out, resourceState(answered.typeURL, e.Name, is))
		}
		counts = append(counts, e.Key)
	}
	s.recount(counts...)
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
		out[e.Name] = text
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

// Ends of a push span without an answer.
var (
	errForgotten = errors.New("not answered while many later responses were sent")
	errHungUp    = errors.New("the stream ended before the answer")
)

// refusedError is a sidecar's NACK, as telemetry sees it.
type refusedError string

func (e refusedError) Error() string   { return string(e) }
func (refusedError) ErrorType() string { return "config-rejected" }

// refusal returns the error a request answers with, nil for an ACK.
func refusal(req *discoveryv3.DeltaDiscoveryRequest) error {
	if detail := req.GetErrorDetail(); detail != nil {
		return refusedError(detail.GetMessage())
	}
	return nil
}

// startPush begins the span of a response and returns the metadata that puts its context
// into the resources: the wire format of a Resource with nothing else. mu is held.
func (s *stream) startPush(d *delta.Difference, cause delta.Change) (span configuration.Span, metadata []byte, err error) {
	if cause.Cause == (tracecontext.Hop{}) {
		return configuration.Span{}, nil, nil
	}
	names := make([]string, 0, len(d.Changed)+len(d.Removed))
	for _, e := range d.Changed {
		names = append(names, e.Name)
	}
	span = s.server.tracing.StartPush(cause.Cause, configuration.Push{
		Version: cause.Version, Sidecar: s.node.ID, Workload: s.node.Namespace + "/" + s.node.Workload,
		Type: delta.ShortType(d.TypeURL), Resources: append(names, d.Removed...),
	})
	hop := span.Hop()
	if carried := xds.TraceMetadata(hop.Parent, hop.State); carried != nil {
		metadata, err = proto.Marshal(&discoveryv3.Resource{Metadata: carried})
	}
	return span, metadata, err
}

// hangUp ends the spans of responses that will not be answered any more. mu is held.
func (s *stream) hangUp() {
	for _, r := range s.unanswered {
		r.span.End(errHungUp)
	}
	s.unanswered = nil
}
