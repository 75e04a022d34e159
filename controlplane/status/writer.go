package status

import (
	"context"
	"log/slog"

	"github.com/warrenmesh/warren/api/v1alpha1"
)

// Writer stores statuses where the authors of the objects look for them. An Outbox
// calls it.
type Writer interface {
	// Write stores the status of one object in place of the one before. It may be
	// slow: newer statuses wait meanwhile. Calls come one at a time. ctx ends with the
	// outbox, or when the call has taken too long. After an error the object's newest
	// status is written again, so writing the same status twice must do no harm. Write
	// must not change o's conditions.
	Write(ctx context.Context, o Object) error
}

// WriterFunc is a function that implements Writer.
type WriterFunc func(ctx context.Context, o Object) error

// Write implements Writer.
func (f WriterFunc) Write(ctx context.Context, o Object) error { return f(ctx, o) }

// LogWriter logs each status at level Debug.
func LogWriter(logger *slog.Logger) Writer {
	return WriterFunc(func(ctx context.Context, o Object) error {
		attrs := make([]slog.Attr, 0, 1+len(o.Conditions))
		attrs = append(attrs, slog.String("object", o.Name.String()))
		for _, c := range o.Conditions {
			attrs = append(attrs, slog.Group(keys[c.Type], "status", c.Status, "reason", c.Reason, "message", c.Message))
		}
		logger.LogAttrs(ctx, slog.LevelDebug, "status of an object changed", attrs...)
		return nil
	})
}

// keys of the conditions in logs.
var keys = map[string]string{
	v1alpha1.ConditionAccepted: "accepted", v1alpha1.ConditionResolvedRefs: "resolved_refs", v1alpha1.ConditionProgrammed: "programmed",
}
