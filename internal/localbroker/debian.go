package localbroker

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

// fetched returns the RabbitMQ of the wanted version from the cache. If it is missing,
// it is fetched first: a small Debian system of its own, from the archive that apt
// uses. Nothing runs in it.
func (o *Options) fetched(ctx context.Context) (installation, error) {
	suite, known := suites[o.Want.Version]
	switch {
	case !known:
		return installation{}, fmt.Errorf("%w: %v cannot be fetched, only 3.10, 4.0 and 4.3", errNotHere, o.Want)
	case o.Want.Cache == "":
		return installation{}, fmt.Errorf("%w: no cache directory is set", errNotHere)
	}
	cache, err := filepath.Abs(o.Want.Cache)
	if err != nil {
		return installation{}, fmt.Errorf("find cache directory: %w", err)
	}
	root := filepath.Join(cache, "rabbitmq-"+o.Want.Version)
	if os.Geteuid() != 0 {
		return installation{}, fmt.Errorf("%w: %v in %s needs root, to run debootstrap and chroot", errNotHere, o.Want, root)
	}
	unlock, err := o.lockFetch(ctx, root)
	if err != nil {
		return installation{}, err
	}
	defer unlock()
	if _, err := os.Stat(root); errors.Is(err, os.ErrNotExist) {
		if err := o.fetch(ctx, suite, root); err != nil {
			return installation{}, fmt.Errorf("fetch %v: %w", o.Want, err)
		}
	}
	return rootInstallation(root, o.Want)
}

// lockFetch waits until no other process fetches the same version.
func (o *Options) lockFetch(ctx context.Context, root string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil { //nolint:gosec // a cache is no secret
		return nil, fmt.Errorf("make cache directory: %w", err)
	}
	held := flock.New(root + ".lock")
	if mine, err := held.TryLock(); err == nil && !mine {
		o.report("broker: waiting for another process that fetches %v", o.Want)
	}
	if _, err := held.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		return nil, fmt.Errorf("lock %s: %w", root, err)
	}
	return func() { _ = held.Unlock() }, nil
}

// fetch makes root; after a failure it leaves nothing of it. debootstrap runs in a
// mount namespace of its own, for the reason given at enterScript.
func (o *Options) fetch(ctx context.Context, suite, root string) error {
	if err := o.getDebootstrap(ctx); err != nil {
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
	o.report("broker: fetching %v from Debian's %s into %s (once: a minute or two, 250 MB)", o.Want, suite, root)
	if err := o.runLong(ctx, []string{
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
	if _, err := rootInstallation(part, o.Want); err != nil {
		return err
	}
	return os.Rename(part, root)
}

// rootInstallation is the RabbitMQ in a root.
func rootInstallation(root string, want Want) (installation, error) {
	in := installation{root: root, server: "/usr/lib/rabbitmq/bin/rabbitmq-server", epmd: "/usr/bin/epmd", call: "/usr/bin/erl_call"}
	for _, program := range []string{in.server, in.epmd, in.call} {
		if _, err := os.Stat(filepath.Join(root, program)); err != nil {
			return installation{}, fmt.Errorf("no complete RabbitMQ (remove %s to fetch it again): %w", root, err)
		}
	}
	in.version = serverVersion(filepath.Join(root, in.server))
	if !want.accepts(in.version) {
		return installation{}, fmt.Errorf("%v is wanted, and Debian now has %q in its place", want, in.version)
	}
	return in, nil
}

// getDebootstrap installs debootstrap if it is missing.
func (o *Options) getDebootstrap(ctx context.Context) error {
	if _, err := exec.LookPath("debootstrap"); err == nil {
		return nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("%w: there is neither debootstrap nor apt-get", errNotHere)
	}
	for _, command := range aptInstall(apt, "debootstrap", "debian-archive-keyring") {
		if err := o.runLong(ctx, command); err != nil {
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
	targets, err := command(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
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
		return "", fmt.Errorf("%w: this machine is %q, and its archive is not Debian's", errNotHere, facts["ID"])
	}
	own := []string{facts["VERSION_CODENAME"], "stable", "testing", "unstable", "sid"}
	for lines := bufio.NewScanner(strings.NewReader(targets)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 3 && slices.Contains(own, fields[1]) && fields[2] == "main" {
			return fields[0], nil
		}
	}
	return "", fmt.Errorf("%w: apt names no archive with %s's main", errNotHere, facts["VERSION_CODENAME"])
}
