package lastgood

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestWhatLiesAtTheTemporaryNameIsNeverWrittenThrough(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(at, victim string) error{
		"a symbolic link":             func(at, victim string) error { return os.Symlink(victim, at) },
		"a hard link":                 func(at, victim string) error { return os.Link(victim, at) },
		"a link to nowhere":           func(at, victim string) error { return os.Symlink(victim+".new", at) },
		"a FIFO":                      func(at, _ string) error { return syscall.Mkfifo(at, 0o666) },
		"what a crash left":           func(at, _ string) error { return os.WriteFile(at, []byte("half"), 0o600) },
		"a file that others can read": func(at, _ string) error { return os.WriteFile(at, nil, 0o644) }, //nolint:gosec // on purpose
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			victim, state := filepath.Join(dir, "victim"), filepath.Join(dir, "last-good.pb")
			if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := plant(state+".tmp", victim); err != nil {
				t.Fatal(err)
			}
			if err := Write(state, &Content{Format: Format, SavedAt: time.Unix(1, 0)}); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(victim); err != nil || string(got) != "precious" {
				t.Errorf("the file of the user has %q now (%v)", got, err)
			}
			if _, err := os.Lstat(victim + ".new"); err == nil {
				t.Error("a file was made where the link leads")
			}
			if info, err := os.Lstat(state); err != nil || info.Mode() != 0o600 {
				t.Errorf("state file: %v, %v, want a file of mode 0600", info.Mode(), err)
			}
			if g, err := Read(state); err != nil || g.SavedAt.Unix() != 1 {
				t.Errorf("read back: %v, %v", g, err)
			}
		})
	}
}

func TestAStateFileThatIsNoneIsNotRead(t *testing.T) {
	t.Parallel()
	for name, plant := range map[string]func(at string) error{
		"a FIFO":          func(at string) error { return syscall.Mkfifo(at, 0o666) },
		"a symbolic link": func(at string) error { return os.Symlink("/dev/zero", at) },
		"a directory":     func(at string) error { return os.Mkdir(at, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			state := filepath.Join(t.TempDir(), "last-good.pb")
			if err := plant(state); err != nil {
				t.Fatal(err)
			}
			if g, err := Read(state); err == nil {
				t.Errorf("read %v", g)
			}
		})
	}
}
