package localbroker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/warrenmesh/warren/internal/localbroker/install"
)

// stopGrace is how long a node may take to end by itself.
const stopGrace = 15 * time.Second

// guardScript runs one node in a process group that ends with file descriptor 3.
// Its arguments are epmd, its port, the pid file for it, the token and the server.
// epmd must answer before the node starts, or that would start one of its own,
// outside of the group; in a cluster it is shared and runs already. The token is
// there to be seen in the command line.
const guardScript = `
epmd=$1 port=$2 pidfile=$3 token=$4 server=$5
( cat <&3 >/dev/null; kill -KILL 0 ) &
exec 3<&-
if [ -n "$pidfile" ]; then
	"$epmd" -port "$port" -address 127.0.0.1 &
	echo $! >"$pidfile"
fi
tries=0
until "$epmd" -port "$port" -names >/dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || exit 1
	sleep 0.1
done
exec "$server"
`

// node is a private RabbitMQ node.
type node struct {
	// Set at construction.
	options *Options
	install install.RabbitMQ
	dir     string
	unlock  func()
	token   string
	cookie  string
	config  string // rabbitmq.conf
	port    int
	dist    int
	epmd    int
	shared  bool // epmd is not the node's own

	// Guarded by mu: the present run, nil before the first.
	mu  sync.Mutex
	run *run
}

// run is one life of the node.
type run struct {
	group int           // process group of everything that belongs to it
	hold  *os.File      // write end of the guard's pipe
	ended chan struct{} // closed when the server has exited and the group is gone
	err   error         // set before ended
}

// startNode starts a private node of an installation.
func (o *Options) startNode(ctx context.Context, in install.RabbitMQ) (*Broker, error) {
	dir, unlock, err := claim(o.Dir)
	if err != nil {
		return nil, err
	}
	n := newNode(o, in, dir, unlock)
	free, err := freePorts(ctx, 3)
	if err == nil {
		n.port, n.dist, n.epmd = free[0], free[1], free[2]
		err = n.prepare()
	}
	if err != nil {
		unlock()
		return nil, err
	}
	o.report("broker: starting a private node of %v on port %d", in, n.port)
	how := fmt.Sprintf("a private node of %v, on port %d", in, n.port)
	return launch(ctx, o, localURL(n.address()), how, n)
}

// newNode makes a node in a directory that was claimed. It has no ports yet.
func newNode(o *Options, in install.RabbitMQ, dir string, unlock func()) *node {
	return &node{
		options: o, install: in, dir: dir, unlock: unlock,
		token: "warren-" + strings.ToLower(rand.Text()[:12]), cookie: rand.Text(),
		config: "disk_free_limit.absolute = 64MB\n",
	}
}

func (n *node) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

// name is the node's in Erlang.
func (n *node) name() string { return n.token + "@localhost" }

func (n *node) path(name string) string { return filepath.Join(n.dir, name) }

// epmdArguments are what its command line is recognised by: it takes no token.
func (n *node) epmdArguments() string { return fmt.Sprintf("-port %d -address 127.0.0.1", n.epmd) }

// prepare writes the files that keep a node independent of the system's own
// configuration.
func (n *node) prepare() error {
	for _, name := range []string{"home", "mnesia", "log"} {
		if err := os.MkdirAll(n.path(name), 0o700); err != nil {
			return fmt.Errorf("prepare private node: %w", err)
		}
	}
	files := []struct {
		name, content string
		mode          os.FileMode
	}{
		{"token", n.token + "\n" + n.epmdArguments(), 0o600},
		{"home/.erlang.cookie", n.cookie, 0o400},
		{"home/rabbitmq.conf", n.config, 0o600},
		{"home/rabbitmq-env.conf", "", 0o600},
		{"home/advanced.config", "[].\n", 0o600},
		{"home/enabled_plugins", "[].\n", 0o600},
	}
	for _, f := range files {
		if err := os.WriteFile(n.path(f.name), []byte(f.content), f.mode); err != nil {
			return fmt.Errorf("prepare private node: %w", err)
		}
	}
	return nil
}

// environment is this process's without anything of RabbitMQ and Erlang, plus the
// node's own.
func (n *node) environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "RABBITMQ_") && !strings.HasPrefix(v, "ERL_") && !strings.HasPrefix(v, "HOME=") {
			env = append(env, v)
		}
	}
	return append(n.install.Environment(env),
		"HOME="+n.path("home"),
		"RABBITMQ_NODENAME="+n.name(),
		"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
		"RABBITMQ_NODE_PORT="+strconv.Itoa(n.port),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(n.dist),
		"RABBITMQ_MNESIA_BASE="+n.path("mnesia"),
		"RABBITMQ_LOG_BASE="+n.path("log"),
		"RABBITMQ_PID_FILE="+n.path("node.pid"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+n.path("home/enabled_plugins"),
		"RABBITMQ_CONFIG_FILE="+n.path("home/rabbitmq.conf"),
		"RABBITMQ_ADVANCED_CONFIG_FILE="+n.path("home/advanced.config"),
		"RABBITMQ_CONF_ENV_FILE="+n.path("home/rabbitmq-env.conf"),
		// Idle schedulers sleep. Spinning, they would take the few cores from clients
		// and other nodes.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none -warren "+n.token,
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"ERL_EPMD_PORT="+strconv.Itoa(n.epmd),
	)
}

// start implements server.
func (n *node) start(ctx context.Context) error {
	if err := os.Remove(n.path("node.pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("start private node: %w", err)
	}
	r, err := n.spawn()
	if err != nil {
		return fmt.Errorf("start private node: %w", err)
	}
	n.mu.Lock()
	n.run = r
	n.mu.Unlock()
	if err := n.awaitBoot(ctx, r); err != nil {
		r.end()
		return fmt.Errorf("start private node: %w; its last words, in %s:\n%s", err, n.path("output.log"), install.Tail(n.path("output.log")))
	}
	return nil
}

// spawn starts the guard of the node.
func (n *node) spawn() (*run, error) {
	pidFile := n.path("epmd.pid")
	if n.shared {
		pidFile = ""
	}
	return startGuard(n.install, n.dir, n.environment(), guardScript, n.install.EPMD, strconv.Itoa(n.epmd), pidFile, n.token, n.install.Server)
}

// startGuard runs a script in a process group of its own, where the installation is,
// with its output in output.log of dir. The goroutine that waits for it ends with the group, which
// end, or the death of what the script runs, brings about.
func startGuard(in install.RabbitMQ, dir string, env []string, script string, args ...string) (*run, error) {
	output, err := os.OpenFile(filepath.Join(dir, "output.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = output.Close() }()
	watched, hold, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = watched.Close() }()
	line := in.Inside(dir, append([]string{"/bin/sh", "-c", script, "warren-guard"}, args...)...)
	//nolint:gosec,noctx // A script of ours. It ends by its pipe, not by a context: it outlives the one of its start.
	guard := exec.Command(line[0], line[1:]...)
	guard.Dir = dir
	guard.Env = env
	guard.Stdout, guard.Stderr = output, output
	guard.ExtraFiles = []*os.File{watched}
	guard.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := guard.Start(); err != nil {
		return nil, errors.Join(err, hold.Close())
	}
	r := &run{group: guard.Process.Pid, hold: hold, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		_ = guard.Wait() // how it ended is in the process state
		_ = hold.Close() // ends what is left of the group
		awaitGroupEnd(r.group)
		r.err = fmt.Errorf("rabbitmq-server ended: %v", guard.ProcessState)
	}()
	return r, nil
}

// end kills the group and returns when it is gone.
func (r *run) end() {
	_ = r.hold.Close()
	<-r.ended
}

// awaitBoot blocks until the node answers, at most for the boot timeout.
func (n *node) awaitBoot(ctx context.Context, r *run) error {
	ctx, cancel := context.WithTimeout(ctx, n.options.BootTimeout)
	defer cancel()
	poll, progress := time.NewTicker(100*time.Millisecond), time.NewTicker(5*time.Second)
	defer poll.Stop()
	defer progress.Stop()
	for began := time.Now(); ; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for it to boot: %w", ctx.Err())
		case <-r.ended:
			return r.err
		case <-progress.C:
			n.options.report("broker: still booting after %.0fs", time.Since(began).Seconds())
		case <-poll.C:
			if _, err := Probe(ctx, localURL(n.address())); err == nil {
				return nil
			}
		}
	}
}

func (n *node) current() *run {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.run
}

// exited implements server.
func (n *node) exited() <-chan struct{} { return n.current().ended }

// kill implements server.
func (n *node) kill(ctx context.Context) error {
	r := n.current()
	if err := n.signal(syscall.SIGKILL); err != nil {
		return err
	}
	select {
	case <-r.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("kill private node: %w", ctx.Err())
	}
}

// signal sends a signal to the node's beam.
func (n *node) signal(s syscall.Signal) error {
	pid, err := readPID(n.path("node.pid"))
	if err != nil {
		return fmt.Errorf("signal private node: %w", err)
	}
	if !isOurs(pid, n.token) {
		return fmt.Errorf("signal private node: process %d is not it", pid)
	}
	if err := syscall.Kill(pid, s); err != nil {
		return fmt.Errorf("signal private node: %w", err)
	}
	return nil
}

// stop implements server.
func (n *node) stop(ctx context.Context) error {
	defer n.unlock()
	r := n.current()
	if r == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stopGrace)
	defer cancel()
	if n.signal(syscall.SIGTERM) == nil {
		select {
		case <-r.ended:
		case <-ctx.Done():
		}
	}
	r.end()
	return nil
}
