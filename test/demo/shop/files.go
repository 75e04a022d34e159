// Package shop is what the demo knows of the shop that it runs: the paths of its files,
// the edits of its configuration, its services and the journals that they write.
//
// It starts nothing and imports no other package of the workshop.
package shop

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Files knows the paths of the demo. Its zero value is not usable: Root and Run must be
// set.
type Files struct {
	Root string // of the repository
	Run  string // for everything the demo makes: binaries, logs, journals, state
	Bins string // for the binaries, when they are not below run
}

// FindRoot walks up from the working directory to this repository's go.mod.
func FindRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "examples", "shop", "config")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("this is no checkout of Warren: there is no examples/shop/config in this directory or above it")
		}
		dir = parent
	}
}

// Bin is the path of a built program; "" gives their directory.
func (l Files) Bin(name string) string {
	if l.Bins != "" {
		return filepath.Join(l.Bins, name)
	}
	return filepath.Join(l.Run, "bin", name)
}

// Demo is a path below the directory that each demo makes anew.
func (l Files) Demo(elements ...string) string {
	return filepath.Join(append([]string{l.Run, "demo"}, elements...)...)
}

// Source is a path below the sources of the shop.
func (l Files) Source(elements ...string) string {
	return filepath.Join(append([]string{l.Root, "examples", "shop"}, elements...)...)
}

// Config is a path below the configuration that the demo edits.
func (l Files) Config(elements ...string) string {
	return l.Demo(append([]string{"config"}, elements...)...)
}

// Log is the file with the output of a program.
func (l Files) Log(name string) string { return l.Demo("logs", name+".log") }

// Journal is the file in which a service writes what it published and received.
func (l Files) Journal(name string) string { return l.Demo("journals", name+".ndjson") }

// OpenMark is the file that keeps the shop open: checkout places orders until it is
// removed.
func (l Files) OpenMark() string { return l.Demo("open") }

// Route is the file with the canary's route.
func (l Files) Route() string { return l.Config(RouteFile) }

// Rel shortens a path below the repository for output.
func (l Files) Rel(path string) string {
	if short, err := filepath.Rel(l.Root, path); err == nil && filepath.IsLocal(short) {
		return short
	}
	return path
}

// Clean removes the files of an earlier demo and makes the directories.
func (l Files) Clean() error {
	if err := os.RemoveAll(l.Demo()); err != nil {
		return fmt.Errorf("remove the files of the last demo: %w", err)
	}
	for _, dir := range []string{l.Bin(""), l.Demo("logs"), l.Demo("journals"), l.Demo("state"), l.Config()} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // logs and journals, for everybody to read
			return err
		}
	}
	return nil
}

// Lock prevents a second demo in the same checkout. The lock ends with the process in
// every case.
func (l Files) Lock() (unlock func(), err error) {
	if err := os.MkdirAll(l.Run, 0o755); err != nil { //nolint:gosec // as above
		return nil, err
	}
	lock := flock.New(filepath.Join(l.Run, "demo.lock"))
	switch mine, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("lock out a second demo: %w", err)
	case !mine:
		return nil, errors.New("another demo runs in this checkout; stop it first")
	}
	return func() { _ = lock.Unlock() }, nil
}

// LockBins waits until no other process builds into the directory of the binaries. The
// tests of this repository share it.
func (l Files) LockBins() (unlock func(), err error) {
	lock := flock.New(filepath.Clean(l.Bin("")) + ".lock")
	if err := lock.Lock(); err != nil {
		return nil, fmt.Errorf("wait for other builds: %w", err)
	}
	return func() { _ = lock.Unlock() }, nil
}

// CopyConfig copies the declared objects of the shop to where the demo edits
// them.
func (l Files) CopyConfig() error {
	entries, err := os.ReadDir(l.Source("config"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".yaml" {
			continue
		}
		content, err := os.ReadFile(l.Source("config", e.Name()))
		if err != nil {
			return err
		}
		if err := ReplaceFile(l.Config(e.Name()), content); err != nil {
			return err
		}
	}
	return nil
}

// WriteCredentials writes the files with the credentials of a sidecar.
func (l Files) WriteCredentials(username, password string) error {
	dir := l.Demo("credentials", "main")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "username"), []byte(username), 0o600),
		os.WriteFile(filepath.Join(dir, "password"), []byte(password), 0o600),
	)
}

// ReplaceFile writes a file as editors do: it renames a new file over the old one, so
// that no reader sees half of it.
func ReplaceFile(path string, content []byte) error {
	beside := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(beside, content, 0o644); err != nil { //nolint:gosec // configuration, no secrets
		return err
	}
	if err := os.Rename(beside, path); err != nil {
		return errors.Join(err, ignoreAbsent(os.Remove(beside)))
	}
	return nil
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
