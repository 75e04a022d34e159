package version

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestTheRunningBinarySaysWhichItIs(t *testing.T) {
	t.Parallel()
	v := Current()
	if v.Version == "" || v.Commit == "" || v.Date == "" || v.Go != runtime.Version() || v.Platform != runtime.GOOS+"/"+runtime.GOARCH {
		t.Errorf("current is %+v", v)
	}
	if strings.Contains(v.String(), "\n") || !strings.HasPrefix(v.String(), v.Version+" (") {
		t.Errorf("its line is %q", v)
	}
	raw, err := json.Marshal(v)
	var back Info
	if err != nil || json.Unmarshal(raw, &back) != nil || back != v {
		t.Errorf("it became %+v: %s, %v", back, raw, err)
	}
}

func TestALineIsShortHoweverLongACommitIs(t *testing.T) {
	t.Parallel()
	for commit, want := range map[string]string{"abc": "v1 (abc, d) g p", "0123456789ab": "v1 (0123456789ab, d) g p", strings.Repeat("f", 64): "v1 (ffffffffffff, d) g p"} {
		if got := (Info{Version: "v1", Commit: commit, Date: "d", Go: "g", Platform: "p"}).String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// A revision without changes is not marked, and blanks around a version are none.
func TestABuildWithoutChangesIsNotMarked(t *testing.T) {
	t.Parallel()
	got := resolve(&debug.BuildInfo{Main: debug.Module{Version: " v1.2.3 "}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "false"}}})
	if got.Modified || got.Version != "v1.2.3" || got.Commit != "abc" || got.Date != Unknown {
		t.Errorf("it is %+v", got)
	}
}
