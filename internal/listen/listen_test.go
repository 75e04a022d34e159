package listen_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/warrenmesh/warren/internal/listen"
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
			err := listen.CheckLoopback(address)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

func TestASocketLeftBehindIsReplacedAndOneInUseIsNot(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "w.sock")
	first, err := listen.Open(t.Context(), "unix:///"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Close() })
	if got := listen.Target(first); got != "unix:"+path {
		t.Errorf("target %s", got)
	}
	if _, err := listen.Open(t.Context(), "unix:"+path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("listened on a socket in use: %v", err)
	}
	left := leftBehind(t, path)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("a listener that is closed leaves its socket")
	}
	left()
	again, err := listen.Open(t.Context(), "unix:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v, want 0660", info.Mode(), err)
	}
	_ = again.Close()
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// leftBehind returns a function that puts a socket to path as a process that was
// killed leaves it.
func leftBehind(t *testing.T, path string) func() {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path + "2", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	return func() {
		if err := os.Rename(path+"2", path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestASocketIsNobodyElsesBeforeItsModeIsSet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	watched := make(chan []string)
	stop := make(chan struct{})
	go func() { // looks for a socket that others could connect to, all the time
		var seen []string
		for {
			select {
			case <-stop:
				watched <- seen
				return
			default:
			}
			entries, _ := os.ReadDir(dir)
			for _, e := range entries {
				if info, err := e.Info(); err == nil && info.Mode().Perm()&0o007 != 0 {
					seen = append(seen, e.Name()+" "+info.Mode().String())
				}
			}
		}
	}()
	for range 200 {
		l, err := listen.Open(t.Context(), "unix:"+filepath.Join(dir, "w.sock"))
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
	}
	close(stop)
	if seen := <-watched; len(seen) > 0 {
		t.Errorf("open to everybody for a moment: %v", seen[:1])
	}
}
