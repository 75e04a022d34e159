package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// traceMetadataKey is the key of filter_metadata under which a resource carries the
// trace context of its push. It is no part of the resource's content: versions do
// not depend on it, and a client that does not know it loses nothing.
const traceMetadataKey = "warren.trace"

// TraceMetadata returns what a delta Resource's metadata carries, nil without a
// parent. Parent and state are W3C traceparent and tracestate.
func TraceMetadata(parent, state string) *corev3.Metadata {
	if parent == "" {
		return nil
	}
	fields := map[string]*structpb.Value{"traceparent": structpb.NewStringValue(parent)}
	if state != "" {
		fields["tracestate"] = structpb.NewStringValue(state)
	}
	return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{traceMetadataKey: {Fields: fields}}}
}

// ParseTraceMetadata is the inverse of TraceMetadata; what is absent is "".
func ParseTraceMetadata(m *corev3.Metadata) (parent, state string) {
	fields := m.GetFilterMetadata()[traceMetadataKey].GetFields()
	return fields["traceparent"].GetStringValue(), fields["tracestate"].GetStringValue()
}
