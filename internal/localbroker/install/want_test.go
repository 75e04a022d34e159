package install

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAVersionIsWantedByItsBeginning(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		want, version string
		accepted      bool
	}{
		{"", "3.10.8", true}, {"", "", true},
		{"4.3", "4.3.6", true}, {"4.3", "4.3", true}, {"4", "4.3.6", true},
		{"4.3", "4.30.1", false}, {"4.3", "3.10.8", false}, {"4.3", "", false}, {"3.1", "3.10.8", false},
	} {
		if got := (Want{Version: tt.want}).Accepts(tt.version); got != tt.accepted {
			t.Errorf("%q is wanted and %q there: accepted is %t, want %t", tt.want, tt.version, got, tt.accepted)
		}
	}
}

func TestTheCacheIsMakesOwn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		variables map[string]string
		want      Want
	}{
		"none":      {nil, Want{}},
		"home":      {map[string]string{"HOME": "/h"}, Want{Cache: "/h/.cache/warren"}},
		"xdg":       {map[string]string{"HOME": "/h", "XDG_CACHE_HOME": "/x"}, Want{Cache: "/x/warren"}},
		"cache dir": {map[string]string{"HOME": "/h", "XDG_CACHE_HOME": "/x", "CACHE_DIR": "/c", "RABBITMQ": "4.3"}, Want{Version: "4.3", Cache: "/c"}},
	} {
		if got := WantFrom(func(name string) string { return tt.variables[name] }); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestTheVersionIsSeenBesideTheScript(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, made := range []string{"debian/bin", "debian/lib/rabbitmq_server-4.3.6", "Cellar/rabbitmq/4.1.4/sbin", "other/bin"} {
		if err := os.MkdirAll(filepath.Join(dir, made), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	script := filepath.Join(dir, "Cellar/rabbitmq/4.1.4/sbin/rabbitmq-server")
	if err := os.WriteFile(script, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(script, filepath.Join(dir, "linked")); err != nil {
		t.Fatal(err)
	}
	for server, want := range map[string]string{"debian/bin/rabbitmq-server": "4.3.6", "linked": "4.1.4", "other/bin/rabbitmq-server": ""} {
		if got := serverVersion(filepath.Join(dir, server)); got != want {
			t.Errorf("%s: version %q, want %q", server, got, want)
		}
	}
}
