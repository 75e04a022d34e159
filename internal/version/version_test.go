package version

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	checkout := &debug.BuildInfo{
		Main: debug.Module{Version: "(devel)"},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "0123456789abcdef"},
			{Key: "vcs.time", Value: "2026-11-23T10:00:00Z"},
			{Key: "vcs.modified", Value: "true"},
		},
	}
	installed := &debug.BuildInfo{Main: debug.Module{Version: "v0.3.1"}}

	tests := []struct {
		name  string
		build *debug.BuildInfo
		want  Info
		line  string
	}{
		{
			"a build without any information says so", nil,
			Info{Version: "dev", Commit: Unknown, Date: Unknown}, "dev (unknown, unknown) ",
		},
		{
			"a build from a checkout takes the revision and marks changes", checkout,
			Info{Version: "dev", Commit: "0123456789abcdef", Date: "2026-11-23T10:00:00Z", Modified: true},
			"dev (0123456789ab, modified, 2026-11-23T10:00:00Z) ",
		},
		{
			"an installed module takes its version", installed,
			Info{Version: "v0.3.1", Commit: Unknown, Date: Unknown}, "v0.3.1 (unknown, unknown) ",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := resolve(tt.build)
			if got.Go == "" || !strings.Contains(got.Platform, "/") {
				t.Errorf("resolve: go %q, platform %q", got.Go, got.Platform)
			}
			if line := got.String(); !strings.HasPrefix(line, tt.line) {
				t.Errorf("String() = %q, want prefix %q", line, tt.line)
			}
			got.Go, got.Platform = "", ""
			if got != tt.want {
				t.Errorf("resolve = %+v, want %+v", got, tt.want)
			}
		})
	}
}
