package server

import (
	"errors"
	"strings"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/warrenmesh/warren/tracing/configuration"
	"github.com/warrenmesh/warren/tracing/tracecontext"
	"github.com/warrenmesh/warren/xds"
)

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

// startPush begins the span of a response and puts its context into the resources.
// They are shared between responses, so it is copies that carry it. mu is held.
func (s *stream) startPush(resp *discoveryv3.DeltaDiscoveryResponse, cause change) configuration.Span {
	if cause.cause == (tracecontext.Hop{}) {
		return configuration.Span{}
	}
	names := make([]string, 0, len(resp.GetResources())+len(resp.GetRemovedResources()))
	for _, r := range resp.GetResources() {
		names = append(names, r.GetName())
	}
	typeURL := resp.GetTypeUrl()
	span := s.server.tracing.StartPush(cause.cause, configuration.Push{
		Version: cause.config, Sidecar: s.node.ID, Workload: s.node.Namespace + "/" + s.node.Workload,
		Type: typeURL[strings.LastIndexByte(typeURL, '.')+1:], Resources: append(names, resp.GetRemovedResources()...),
	})
	hop := span.Hop()
	metadata := xds.TraceMetadata(hop.Parent, hop.State)
	if metadata == nil {
		return span
	}
	for i, r := range resp.GetResources() {
		resp.Resources[i] = &discoveryv3.Resource{Name: r.GetName(), Version: r.GetVersion(), Resource: r.GetResource(), Metadata: metadata}
	}
	return span
}

// hangUp ends the spans of responses that will not be answered any more. mu is held.
func (s *stream) hangUp() {
	for _, r := range s.unanswered {
		r.span.End(errHungUp)
	}
	s.unanswered = nil
}
