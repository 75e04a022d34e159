package rig

import (
	"strings"
	"testing"

	"github.com/warrenmesh/warren/test/faults/history"
)

func TestThePathsAreThoseOfTheMetric(t *testing.T) {
	t.Parallel()
	const text = `# TYPE warren_path_messages_total counter
warren_path_messages_total{otel_scope_name="w",warren_path_direction="publish",warren_path_kind="fast",warren_path_step="try"} 64
warren_path_messages_total{otel_scope_name="w",warren_path_direction="publish",warren_path_kind="slow",warren_path_step="try"} 2
warren_path_messages_total{otel_scope_name="w",warren_path_direction="publish",warren_path_kind="slow",warren_path_step="decode"} 9
warren_path_messages_total{otel_scope_name="w",warren_path_direction="delivery",warren_path_kind="fast",warren_path_step="settle"} 1e+06
warren_path_messages_total{otel_scope_name="w",warren_path_direction="delivery",warren_path_kind="slow",warren_path_step="settle"} 3
warren_ready 1
`
	got, err := readPaths(strings.NewReader(text))
	want := history.Paths{Publish: history.Ways{Fast: 64, Slow: 2}, Delivery: history.Ways{Fast: 1_000_000, Slow: 3}}
	if err != nil || got != want {
		t.Errorf("read %+v (%v), want %+v", got, err, want)
	}
	if _, err := readPaths(strings.NewReader("warren_ready 1\n")); err == nil {
		t.Error("a sidecar that does not count its paths is no error")
	}
}
