package admin

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deadletter"
	"github.com/warrenmesh/warren/proxy/event"
)

// letter renders a dead letter with at most payload bytes of its data, which it
// shares. A message that is no event is rendered with the id that Warren gives it, its
// body and the reason why it is no event. A detail of its own replaces that reason.
func letter(d *broker.Delivery, payload uint32) *adminv1.DeadLetter {
	e, l := d.Event, *d.DeadLetter
	if e == nil {
		e = &event.Event{ID: d.ID, Data: d.Raw}
		if l.Detail == "" && d.Malformed != nil {
			l.Detail = d.Malformed.Error()
		}
	}
	size := len(e.Data)
	if d.Event == nil {
		size = max(size, d.Size) // a large body was left behind
	}
	out := &adminv1.DeadLetter{
		EventId: text(e.ID), Source: text(e.Source), Type: text(e.Type),
		DataBytes: uint64(size), Data: e.Data[:min(len(e.Data), int(payload))],
		Reason: text(l.Reason), Detail: text(l.Detail), Attempts: l.Attempts,
		FirstFailure: timestamp(l.FirstFailure), Time: timestamp(l.Time),
		Exchange: text(d.Origin.Name), RoutingKey: text(d.Origin.Key),
		Traceparent: text(d.Trace.Parent), Publisher: text(d.AppID), Cut: text(l.Cut), Queue: text(l.Part),
	}
	if d.Malformed != nil {
		out.Malformed = text(d.Malformed.Error())
	}
	if len(e.Attrs) > 0 {
		out.Attributes = make(map[string]string, len(e.Attrs))
	}
	for _, a := range e.Attrs {
		out.Attributes[text(a.Name)] = text(a.Value.String())
	}
	return out
}

// timestamp returns nil for the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

//nolint:gosec // counts are not negative
func reportProto(r deadletter.Report) *adminv1.DeadLetterReport {
	return &adminv1.DeadLetterReport{
		Queue: text(r.Queue), Total: uint64(r.Total), Read: uint64(r.Read), Foreign: uint64(r.Foreign),
		Matched: uint64(r.Matched), Done: uint64(r.Done), Failed: uint64(r.Failed), Failure: text(r.Failure),
		Consumers: uint32(r.Consumers), Complete: r.Complete,
	}
}
