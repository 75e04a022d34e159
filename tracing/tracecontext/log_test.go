package tracecontext_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"reflect"
	"testing"

	"github.com/warrenmesh/warren/tracing/tracecontext"
)

func TestLogHandlerAddsTraceIDs(t *testing.T) {
	t.Parallel()
	ids := map[string]any{"trace_id": hop[3:35], "span_id": hop[36:52]}
	traced := tracecontext.Extract(context.Background(), map[string]string{"traceparent": hop})
	for name, tc := range map[string]struct {
		ctx  context.Context
		with func(*slog.Logger) *slog.Logger
		want map[string]any
	}{
		"to a record within a span": {traced, func(l *slog.Logger) *slog.Logger { return l.With("a", "b") },
			map[string]any{"a": "b", "k": "v", "trace_id": ids["trace_id"], "span_id": ids["span_id"]}},
		"never to one without": {context.Background(), func(l *slog.Logger) *slog.Logger { return l },
			map[string]any{"k": "v"}},
		"at the top level even below groups": {traced,
			func(l *slog.Logger) *slog.Logger { return l.With("a", "b").WithGroup("g").With("c", "d") },
			map[string]any{
				"a": "b", "g": map[string]any{"c": "d", "k": "v"},
				"trace_id": ids["trace_id"], "span_id": ids["span_id"],
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			log := slog.New(tracecontext.LogHandler(slog.NewJSONHandler(&out, nil)))
			tc.with(log).InfoContext(tc.ctx, "hello", "k", "v")
			var got map[string]any
			if err := json.Unmarshal(out.Bytes(), &got); err != nil {
				t.Fatalf("log %q: %v", out.String(), err)
			}
			delete(got, "time")
			tc.want["level"], tc.want["msg"] = "INFO", "hello"
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("record = %v, want %v", got, tc.want)
			}
		})
	}
}
