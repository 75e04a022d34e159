package install

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// suites are the releases of Debian that RabbitMQ comes from, by version.
var suites = map[string]string{"3.10": "bookworm", "4.0": "trixie", "4.3": "forky"}

// newest is the suite whose debootstrap script is used for suites that an older
// debootstrap does not know.
const newest = "sid"

// Fetch returns the RabbitMQ of the wanted version from the cache. If it is missing,
// it is fetched first: a small Debian system of its own, from the archive that apt
// uses. Nothing runs in it. The error is ErrNotHere where that is not possible.
func Fetch(ctx context.Context, want Want, report Report) (RabbitMQ, error) {
	suite, known := suites[want.Version]
	switch {
	case !known:
		return RabbitMQ{}, fmt.Errorf("%w: %v cannot be fetched, only 3.10, 4.0 and 4.3", ErrNotHere, want)
	case want.Cache == "":
		return RabbitMQ{}, fmt.Errorf("%w: no cache directory is set", ErrNotHere)
	}
	cache, err := filepath.Abs(want.Cache)
	if err != nil {
		return RabbitMQ{}, fmt.Errorf("find cache directory: %w", err)
	}
	root := filepath.Join(cache, "rabbitmq-"+want.Version)
	if os.Geteuid() != 0 {
		return RabbitMQ{}, fmt.Errorf("%w: %v in %s needs root, to run debootstrap and chroot", ErrNotHere, want, root)
	}
	unlock, err := lockFetch(ctx, want, root, report)
	if err != nil {
		return RabbitMQ{}, err
	}
	defer unlock()
	if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
		if err := fetch(ctx, want, suite, root, report); err != nil {
			return RabbitMQ{}, fmt.Errorf("fetch %v: %w", want, err)
		}
	}
	return rootInstallation(root, want)
}

// lockFetch waits until no other process fetches the same version.
func lockFetch(ctx context.Context, want Want, root string, report Report) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil { //nolint:gosec // a cache is no secret
		return nil, fmt.Errorf("make cache directory: %w", err)
	}
	held := flock.New(root + ".lock")
	if mine, err := held.TryLock(); err == nil && !mine {
		report("broker: waiting for another process that fetches %v", want)
	}
	if _, err := held.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return nil, fmt.Errorf("lock %s: %w", root, err)
	}
	return func() { _ = held.Unlock() }, nil
}

// fetch makes root; after a failure it leaves nothing of it. debootstrap runs in a
// mount namespace of its own, for the reason given at enterScript.
func fetch(ctx context.Context, want Want, suite, root string, report Report) error {
	if err := getDebootstrap(ctx, report); err != nil {
		return err
	}
	mirror, err := debianMirror(ctx)
	if err != nil {
		return err
	}
	part := root + ".part"
	if err := os.RemoveAll(part); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(part) }()
	report("broker: fetching %v from Debian's %s into %s (once: a minute or two, 250 MB)", want, suite, root)
	if err := runLong(ctx, report, []string{
		"unshare", "--mount", "--propagation", "private",
		"debootstrap", "--variant=minbase", "--include=rabbitmq-server", suite, part, mirror, bootstrapScript(suite),
	}); err != nil {
		return err
	}
	for _, name := range []string{"var/cache/apt", "var/lib/apt/lists"} {
		if err := os.RemoveAll(filepath.Join(part, name)); err != nil {
			return err
		}
	}
	// Without it a node waits for ever to learn its own address.
	hosts := "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
	if err := os.WriteFile(filepath.Join(part, "etc/hosts"), []byte(hosts), 0o644); err != nil { //nolint:gosec // as everywhere
		return err
	}
	if _, err := rootInstallation(part, want); err != nil {
		return err
	}
	return os.Rename(part, root)
}

// rootInstallation is the RabbitMQ in a root.
func rootInstallation(root string, want Want) (RabbitMQ, error) {
	in := RabbitMQ{Root: root, Server: "/usr/lib/rabbitmq/bin/rabbitmq-server", EPMD: "/usr/bin/epmd", Call: "/usr/bin/erl_call"}
	for _, program := range []string{in.Server, in.EPMD, in.Call} {
		if _, err := os.Stat(filepath.Join(root, program)); err != nil {
			return RabbitMQ{}, fmt.Errorf("no complete RabbitMQ (remove %s to fetch it again): %w", root, err)
		}
	}
	in.Version = serverVersion(filepath.Join(root, in.Server))
	if !want.Accepts(in.Version) {
		return RabbitMQ{}, fmt.Errorf("%v is wanted, and Debian now has %q in its place", want, in.Version)
	}
	return in, nil
}

// getDebootstrap installs debootstrap if it is missing.
func getDebootstrap(ctx context.Context, report Report) error {
	if _, err := exec.LookPath("debootstrap"); err == nil {
		return nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("%w: there is neither debootstrap nor apt-get", ErrNotHere)
	}
	for _, command := range aptInstall(apt, "debootstrap", "debian-archive-keyring") {
		if err := runLong(ctx, report, command); err != nil {
			return err
		}
	}
	return nil
}

// bootstrapScript is debootstrap's script for a suite.
func bootstrapScript(suite string) string {
	const scripts = "/usr/share/debootstrap/scripts"
	own := filepath.Join(scripts, suite)
	if _, err := os.Stat(own); err != nil {
		return filepath.Join(scripts, newest)
	}
	return own
}

// debianMirror asks apt for the archive it takes Debian from.
func debianMirror(ctx context.Context) (string, error) {
	targets, err := Output(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
	if err != nil {
		return "", fmt.Errorf("ask apt for its mirror: %w", err)
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", fmt.Errorf("ask for this machine's release: %w", err)
	}
	return mirrorOf(targets, string(release))
}

// mirrorOf finds the archive of this machine's release among apt's targets, of which
// each line is an address, a release and a component.
func mirrorOf(targets, osRelease string) (string, error) {
	facts := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(osRelease)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), "=")
		facts[name] = strings.Trim(value, `"'`)
	}
	if facts["ID"] != "debian" {
		return "", fmt.Errorf("%w: this machine is %q, and its archive is not Debian's", ErrNotHere, facts["ID"])
	}
	own := []string{facts["VERSION_CODENAME"], "stable", "testing", "unstable", "sid"}
	for lines := bufio.NewScanner(strings.NewReader(targets)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && slices.Contains(own, fields[1]) && fields[2] == "main" {
			return fields[0], nil
		}
	}
	return "", fmt.Errorf("%w: apt names no archive with %s's main", ErrNotHere, facts["VERSION_CODENAME"])
}
