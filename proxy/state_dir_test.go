package proxy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAStateDirectoryThatOthersCanWriteToIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mode os.FileMode
		want string // "" means taken
	}{
		"its own":               {0o700, ""},
		"readable by others":    {0o755, ""},
		"writable by its group": {0o770, "others can write to it"},
		"writable by everybody": {0o707, "others can write to it"},
		"sticky, as /tmp is":    {0o777 | os.ModeSticky, "others can write to it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "state")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, test.mode); err != nil {
				t.Fatal(err)
			}
			err := ownDirectory(dir)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if err := ownDirectory(filepath.Join(dir, "a", "b")); err != nil {
				t.Errorf("a directory below it: %v", err)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ownDirectory(file); err == nil {
		t.Error("a file was taken for a directory")
	}
}

func TestAStateDirectoryOfAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		owner, self int
		want        bool
	}{{1000, 1000, true}, {0, 1000, true}, {1001, 1000, false}, {0, 0, true}, {1000, 0, false}} {
		if got := trusted(test.owner, test.self); got != test.want {
			t.Errorf("user %d trusts a directory of user %d: %t", test.self, test.owner, got)
		}
	}
}
