package server

import (
	"errors"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/proto"

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

// startPush begins the span of a response and returns the metadata that puts its context
// into the resources: the wire format of a Resource with nothing else. mu is held.
func (s *stream) startPush(d *difference, cause change) (span configuration.Span, metadata []byte, err error) {
	if cause.cause == (tracecontext.Hop{}) {
		return configuration.Span{}, nil, nil
	}
	names := make([]string, 0, len(d.changed)+len(d.removed))
	for _, e := range d.changed {
		names = append(names, e.name)
	}
	span = s.server.tracing.StartPush(cause.cause, configuration.Push{
		Version: cause.config, Sidecar: s.node.ID, Workload: s.node.Namespace + "/" + s.node.Workload,
		Type: shortType(d.typeURL), Resources: append(names, d.removed...),
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
