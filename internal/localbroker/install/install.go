// Package install finds, installs and fetches RabbitMQs. It starts none.
//
//   - install.go finds an installed one, and installs one by apt or Homebrew
//   - debian.go fetches one of another version into a cache, as a Debian system of its own
//   - root.go runs commands in the root of such a system
//   - want.go says which version is wanted
//   - run.go runs the commands of all that
//
// It imports nothing of Warren. Its functions are safe for concurrent use; processes that
// fetch the same version wait for each other. Unix only.
package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNotHere is the reason of what this machine does not have or cannot do.
var ErrNotHere = errors.New("not here")

// Report gets lines for people, as fmt.Printf does.
type Report func(format string, args ...any)

// RabbitMQ is one on this machine, with the Erlang it runs on. Paths are those in Root.
type RabbitMQ struct {
	Version string // "" where it cannot be seen
	Root    string // of the system it belongs to, "" for this one
	Server  string // the rabbitmq-server script itself, and no wrapper that switches the user
	EPMD    string
	Call    string // erl_call, "" where it is not installed
}

// String is the RabbitMQ for people.
func (in RabbitMQ) String() string {
	if in.Version == "" {
		return in.Server
	}
	return "RabbitMQ " + in.Version + " in " + filepath.Join(in.Root, filepath.Dir(in.Server))
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

// Find finds a RabbitMQ that is installed, with its Erlang. The error is ErrNotHere when
// there is none, or one that is not wanted.
func Find(want Want) (RabbitMQ, error) {
	in, err := find()
	if err == nil && !want.Accepts(in.Version) {
		err = fmt.Errorf("%w: %v is installed, and %v is wanted", ErrNotHere, in, want)
	}
	return in, err
}

func find() (RabbitMQ, error) {
	for _, place := range serverPlaces {
		server, err := exec.LookPath(place)
		if err != nil {
			continue
		}
		epmd, err := findEPMD(filepath.Dir(server))
		if err != nil {
			return RabbitMQ{}, err
		}
		return RabbitMQ{Version: serverVersion(server), Server: server, EPMD: epmd, Call: findCall(epmd)}, nil
	}
	return RabbitMQ{}, fmt.Errorf("%w: there is no rabbitmq-server in its usual places or in PATH", ErrNotHere)
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
	return "", fmt.Errorf("%w: there is a rabbitmq-server, but no epmd", ErrNotHere)
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

// Install installs RabbitMQ where none is, by apt or Homebrew. It takes minutes. The error
// is ErrNotHere when one is installed already, or neither is here.
func Install(ctx context.Context, report Report) error {
	if _, err := find(); err == nil {
		return fmt.Errorf("%w: rabbitmq-server is installed already", ErrNotHere)
	}
	commands, err := installer()
	if err != nil {
		return err
	}
	for _, command := range commands {
		if err := runLong(ctx, report, command); err != nil {
			return err
		}
	}
	return nil
}

// installer returns the commands that install RabbitMQ on this machine.
func installer() ([][]string, error) {
	if apt, err := exec.LookPath("apt-get"); err == nil {
		if os.Geteuid() != 0 {
			return nil, fmt.Errorf("%w: apt-get needs root; try: sudo apt-get install rabbitmq-server", ErrNotHere)
		}
		return aptInstall(apt, "rabbitmq-server"), nil
	}
	if brew, err := exec.LookPath("brew"); err == nil && os.Geteuid() != 0 {
		return [][]string{{brew, "install", "rabbitmq"}}, nil
	}
	return nil, fmt.Errorf("%w: there is neither apt-get nor brew", ErrNotHere)
}

// aptInstall returns the commands that install packages.
func aptInstall(apt string, packages ...string) [][]string {
	const patience = "DPkg::Lock::Timeout=60"
	return [][]string{
		{apt, "-o", patience, "update"},
		append([]string{apt, "-o", patience, "install", "-y", "--no-install-recommends"}, packages...),
	}
}
