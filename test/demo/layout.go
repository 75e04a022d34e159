package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// layout knows the paths of the demo.
type layout struct {
	root string // of the repository
	run  string // for everything the demo makes: binaries, logs, journals, state
	bins string // for the binaries, when they are not below run
}

// findRoot walks up from the working directory to this repository's go.mod.
func findRoot() (string, error) {
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
			return "", errors.New("not inside a checkout of warren: no examples/shop/config here or above")
		}
		dir = parent
	}
}

func (l layout) bin(name string) string {
	if l.bins != "" {
		return filepath.Join(l.bins, name)
	}
	return filepath.Join(l.run, "bin", name)
}

func (l layout) demo(elements ...string) string {
	return filepath.Join(append([]string{l.run, "demo"}, elements...)...)
}

func (l layout) shop(elements ...string) string {
	return filepath.Join(append([]string{l.root, "examples", "shop"}, elements...)...)
}

func (l layout) config(elements ...string) string {
	return l.demo(append([]string{"config"}, elements...)...)
}

func (l layout) log(name string) string     { return l.demo("logs", name+".log") }
func (l layout) journal(name string) string { return l.demo("journals", name+".ndjson") }
func (l layout) open() string               { return l.demo("open") }
func (l layout) route() string              { return l.config(routeFile) }

// rel shortens a path below the repository for output.
func (l layout) rel(path string) string {
	if short, err := filepath.Rel(l.root, path); err == nil && filepath.IsLocal(short) {
		return short
	}
	return path
}

// clean removes the files of an earlier demo and makes the directories.
func (l layout) clean() error {
	if err := os.RemoveAll(l.demo()); err != nil {
		return fmt.Errorf("remove what the last demo left: %w", err)
	}
	for _, dir := range []string{l.bin(""), l.demo("logs"), l.demo("journals"), l.demo("state"), l.config()} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // logs and journals, for everybody to read
			return err
		}
	}
	return nil
}

// lock prevents a second demo in the same checkout. The lock ends with the process in
// every case.
func (l layout) lock() (unlock func(), err error) {
	if err := os.MkdirAll(l.run, 0o755); err != nil { //nolint:gosec // as above
		return nil, err
	}
	lock := flock.New(filepath.Join(l.run, "demo.lock"))
	switch mine, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("keep a second demo out: %w", err)
	case !mine:
		return nil, errors.New("another demo runs in this checkout; stop it first")
	}
	return func() { _ = lock.Unlock() }, nil
}

// lockBins waits until no other process builds into the directory of the binaries. The
// tests of this repository share it.
func (l layout) lockBins() (unlock func(), err error) {
	lock := flock.New(filepath.Clean(l.bin("")) + ".lock")
	if err := lock.Lock(); err != nil {
		return nil, fmt.Errorf("wait for other builds: %w", err)
	}
	return func() { _ = lock.Unlock() }, nil
}

// copyConfig copies the declared objects of the shop to where the demo edits
// them.
func (l layout) copyConfig() error {
	entries, err := os.ReadDir(l.shop("config"))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".yaml" {
			continue
		}
		content, err := os.ReadFile(l.shop("config", e.Name()))
		if err != nil {
			return err
		}
		if err := replaceFile(l.config(e.Name()), content); err != nil {
			return err
		}
	}
	return nil
}

// writeCredentials writes the files with the credentials of a sidecar.
func (l layout) writeCredentials(username, password string) error {
	dir := l.demo("credentials", "main")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "username"), []byte(username), 0o600),
		os.WriteFile(filepath.Join(dir, "password"), []byte(password), 0o600),
	)
}

// replaceFile writes a file as editors do: it renames a new file over the old one, so
// that no reader sees half of it.
func replaceFile(path string, content []byte) error {
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
