package admin

import (
	"strings"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/tap"
)

var tapStages = map[tap.Stage]adminv1.TapStage{
	tap.Published: adminv1.TapStage_TAP_STAGE_PUBLISHED,
	tap.Delivered: adminv1.TapStage_TAP_STAGE_DELIVERED,
	tap.Settled:   adminv1.TapStage_TAP_STAGE_SETTLED,
}

// tapResponse renders a record. Text of others may hold any bytes; protobuf takes
// UTF-8 only.
func tapResponse(r *tap.Record) *adminv1.TapResponse {
	out := &adminv1.TapResponse{
		Stage: tapStages[r.Stage], Time: timestamppb.New(r.Time),
		EventId: text(r.ID), Source: text(r.Source), Type: text(r.Type),
		DataBytes: uint64(r.DataBytes), Data: r.Data, //nolint:gosec // a length is not negative
		Topic: nameText(r.Topic), Route: r.Route, Subscription: nameText(r.Subscription),
		Exchange: text(r.Exchange), RoutingKey: text(r.RoutingKey), Attempt: r.Attempt,
		Outcome: r.Outcome, Error: text(r.Detail), Traceparent: text(r.TraceParent), Dropped: r.Dropped,
	}
	if r.Err != nil {
		out.Error = text(r.Err.Error())
	}
	if r.Took > 0 {
		out.Took = durationpb.New(r.Took)
	}
	if len(r.Attrs) > 0 {
		out.Attributes = make(map[string]string, len(r.Attrs))
	}
	for _, a := range r.Attrs {
		out.Attributes[text(a.Name)] = text(a.Value.String())
	}
	return out
}

func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func nameText(n mesh.Name) string {
	if n == (mesh.Name{}) {
		return ""
	}
	return n.String()
}
