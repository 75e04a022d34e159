package tracecontext

import (
	"context"
	"log/slog"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// Keys of the trace ids in log records.
const (
	LogTraceID = "trace_id"
	LogSpanID  = "span_id"
)

// LogHandler returns a handler that adds trace_id and span_id to each record
// whose context has a span, at the top level even below WithGroup.
func LogHandler(next slog.Handler) slog.Handler {
	return &logHandler{next: next, base: next}
}

// logHandler keeps, once a group is open, what leads from base to next, because
// attributes of a record always fall into the innermost group.
type logHandler struct {
	next  slog.Handler
	base  slog.Handler
	steps []func(slog.Handler) slog.Handler // empty while no group is open
}

// Enabled implements slog.Handler.
func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *logHandler) Handle(ctx context.Context, record slog.Record) error {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return h.next.Handle(ctx, record)
	}
	ids := []slog.Attr{slog.String(LogTraceID, sc.TraceID().String()), slog.String(LogSpanID, sc.SpanID().String())}
	if len(h.steps) == 0 {
		record = record.Clone()
		record.AddAttrs(ids...)
		return h.next.Handle(ctx, record)
	}
	handler := h.base.WithAttrs(ids)
	for _, step := range h.steps {
		handler = step(handler)
	}
	return handler.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	next := h.next.WithAttrs(attrs)
	if len(h.steps) == 0 {
		return &logHandler{next: next, base: next}
	}
	return h.then(next, func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.then(h.next.WithGroup(name), func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h *logHandler) then(next slog.Handler, step func(slog.Handler) slog.Handler) slog.Handler {
	return &logHandler{next: next, base: h.base, steps: append(slices.Clip(h.steps), step)}
}
