package proxy

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{ // "" means accepted
		"":                       "",
		"127.0.0.1:0":            "",
		"[::1]:17400":            "",
		"localhost:17400":        "",
		"unix:/run/warren.sock":  "",
		"unix:///run/w.sock":     "",
		"unix:run/warren.sock":   "absolute path",
		"unix:":                  "absolute path",
		"0.0.0.0:17400":          "must be on loopback",
		":17400":                 "must be on loopback",
		"10.0.0.1:17400":         "must be on loopback",
		"host.example.com:17400": "must be on loopback",
		"17400":                  "want host:port",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			err := checkLoopback(address)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

func TestASocketLeftBehindIsReplacedAndOneInUseIsNot(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "w.sock")
	first, err := listen(t.Context(), "unix:///"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Close() })
	if got := target(first); got != "unix:"+path {
		t.Errorf("target %s", got)
	}
	if _, err := listen(t.Context(), "unix:"+path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("listened on a socket in use: %v", err)
	}
	unlinker, ok := first.(interface{ SetUnlinkOnClose(bool) })
	if !ok {
		t.Fatalf("%T is no unix listener", first)
	}
	unlinker.SetUnlinkOnClose(false) // as a process that was killed leaves it
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := listen(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}
