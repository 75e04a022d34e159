package localbroker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// installation is a RabbitMQ on this machine.
type installation struct {
	version string // "" where it cannot be seen
	root    string // of the system it belongs to, "" for this one
	server  string // the rabbitmq-server script itself, and no wrapper that switches the user
	epmd    string
	call    string // erl_call, "" where it is not installed
}

// String is the installation for people.
func (in installation) String() string {
	if in.version == "" {
		return in.server
	}
	return "RabbitMQ " + in.version + " in " + filepath.Join(in.root, filepath.Dir(in.server))
}

// serverPlaces are where packages put the script. Debian's and Red Hat's wrappers
// in PATH switch the user, so their own place comes first and PATH last.
var serverPlaces = []string{
	"/usr/lib/rabbitmq/bin/rabbitmq-server",
	"/opt/homebrew/sbin/rabbitmq-server",
	"/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
	"/usr/local/sbin/rabbitmq-server",
	"/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
	"/home/linuxbrew/.linuxbrew/sbin/rabbitmq-server",
	"rabbitmq-server",
}

// epmdPlaces are patterns for epmd where it is not in PATH.
var epmdPlaces = []string{
	"/usr/lib/erlang/erts-*/bin/epmd",
	"/usr/local/lib/erlang/erts-*/bin/epmd",
	"/opt/homebrew/lib/erlang/erts-*/bin/epmd",
	"/home/linuxbrew/.linuxbrew/lib/erlang/erts-*/bin/epmd",
}

// findInstallation finds RabbitMQ and Erlang.
func findInstallation() (installation, error) {
	for _, place := range serverPlaces {
		server, err := exec.LookPath(place)
		if err != nil {
			continue
		}
		epmd, err := findEPMD(filepath.Dir(server))
		if err != nil {
			return installation{}, err
		}
		return installation{version: serverVersion(server), server: server, epmd: epmd, call: findCall(epmd)}, nil
	}
	return installation{}, fmt.Errorf("%w: there is no rabbitmq-server in its usual places or in PATH", errNotHere)
}

// serverVersion is the version of the RabbitMQ a script starts, by the directory of its
// libraries: Debian's package has lib/rabbitmq_server-3.10.8 beside bin, Homebrew all
// in Cellar/rabbitmq/4.1.4.
func serverVersion(server string) string {
	if found, err := filepath.Glob(filepath.Join(filepath.Dir(server), "../lib/rabbitmq_server-*")); err == nil && len(found) > 0 {
		_, version, _ := strings.Cut(filepath.Base(found[len(found)-1]), "-")
		return version
	}
	itself, err := filepath.EvalSymlinks(server)
	if err != nil {
		return ""
	}
	_, after, _ := strings.Cut(itself, "/Cellar/rabbitmq/")
	version, _, _ := strings.Cut(after, "/")
	return version
}

func findEPMD(beside string) (string, error) {
	for _, place := range []string{"epmd", filepath.Join(beside, "epmd"), filepath.Join(beside, "../bin/epmd")} {
		if epmd, err := exec.LookPath(place); err == nil {
			return epmd, nil
		}
	}
	for _, pattern := range epmdPlaces {
		if found, err := filepath.Glob(pattern); err == nil && len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("%w: there is a rabbitmq-server, but no epmd", errNotHere)
}

// findCall looks for erl_call in PATH and beside the real epmd.
func findCall(epmd string) string {
	places := []string{"erl_call"}
	if itself, err := filepath.EvalSymlinks(epmd); err == nil {
		places = append(places, filepath.Join(filepath.Dir(itself), "erl_call"))
	}
	for _, place := range places {
		if call, err := exec.LookPath(place); err == nil {
			return call
		}
	}
	return ""
}

// wanted looks for an installed RabbitMQ of the wanted version.
func (o *Options) wanted() (installation, error) {
	in, err := findInstallation()
	if err == nil && !o.Want.accepts(in.version) {
		err = fmt.Errorf("%w: %v is installed, and %v is wanted", errNotHere, in, o.Want)
	}
	return in, err
}

// installed starts a private node of what is installed.
func (o *Options) installed(ctx context.Context) (*Broker, error) {
	in, err := o.wanted()
	if err != nil {
		return nil, err
	}
	return o.startNode(ctx, in)
}

// install installs RabbitMQ, and starts a private node unless the package started
// a node of the system. One of a wanted version is fetched into the cache instead.
func (o *Options) install(ctx context.Context) (*Broker, error) {
	if o.Want.Version != "" {
		in, err := o.fetched(ctx)
		if err != nil {
			return nil, err
		}
		return o.startNode(ctx, in)
	}
	if _, err := findInstallation(); err == nil {
		return nil, fmt.Errorf("%w: rabbitmq-server is installed already", errNotHere)
	}
	commands, err := installer()
	if err != nil {
		return nil, err
	}
	for _, command := range commands {
		if err := o.runLong(ctx, command); err != nil {
			return nil, err
		}
	}
	if b, err := o.running(ctx); err == nil {
		return b, nil
	}
	return o.installed(ctx)
}

// installer returns the commands that install RabbitMQ on this machine.
func installer() ([][]string, error) {
	if apt, err := exec.LookPath("apt-get"); err == nil {
		if os.Geteuid() != 0 {
			return nil, fmt.Errorf("%w: apt-get needs root; try: sudo apt-get install rabbitmq-server", errNotHere)
		}
		return aptInstall(apt, "rabbitmq-server"), nil
	}
	if brew, err := exec.LookPath("brew"); err == nil && os.Geteuid() != 0 {
		return [][]string{{brew, "install", "rabbitmq"}}, nil
	}
	return nil, fmt.Errorf("%w: there is neither apt-get nor brew", errNotHere)
}

// aptInstall returns the commands that install packages.
func aptInstall(apt string, packages ...string) [][]string {
	const patience = "DPkg::Lock::Timeout=60"
	return [][]string{
		{apt, "-o", patience, "update"},
		append([]string{apt, "-o", patience, "install", "-y", "--no-install-recommends"}, packages...),
	}
}

// runLong runs a command and reports every few seconds that it still runs. When ctx
// ends, the command is asked to end and given time: a package manager that is killed
// leaves its database locked.
func (o *Options) runLong(ctx context.Context, args []string) error {
	o.report("broker: running %v", args)
	output, err := os.CreateTemp("", "warren-install-*.log")
	if err != nil {
		return fmt.Errorf("run %v: %w", args, err)
	}
	defer func() { _ = os.Remove(output.Name()) }()
	defer func() { _ = output.Close() }()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "HOMEBREW_NO_AUTO_UPDATE=1")
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 30 * time.Second
	began := time.Now()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Run() }()
	progress := time.NewTicker(10 * time.Second)
	defer progress.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				return errors.Join(fmt.Errorf("run %v: %w", args, err), errors.New(tail(output.Name())))
			}
			return nil
		case <-progress.C:
			o.report("broker: still running after %.0fs: %s", time.Since(began).Seconds(), lastLine(tail(output.Name())))
		}
	}
}
