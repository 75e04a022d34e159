package localbroker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/warrenmesh/warren/internal/localbroker/install"
)

// epmdScript runs an epmd in a process group that ends with file descriptor 3.
const epmdScript = `
epmd=$1 port=$2 pidfile=$3
( cat <&3 >/dev/null; kill -KILL 0 ) &
exec 3<&-
echo $$ >"$pidfile"
exec "$epmd" -port "$port" -address 127.0.0.1
`

// Cluster is private nodes of one RabbitMQ, with an epmd that they share. Unlike a
// Broker it is not supervised: a member that was killed is dead until Start.
type Cluster struct {
	Members []*Member

	unlock func()
	epmd   *run
}

// StartCluster starts n private nodes in Options.Dir and returns when they form one
// cluster. It uses the installed RabbitMQ, or fetches the version that Options.Want
// names. Of the other options it uses BootTimeout and Report. The error is ErrNone
// when there is no such RabbitMQ.
func StartCluster(ctx context.Context, options Options, n int) (*Cluster, error) {
	o := options.withDefaults()
	in, err := install.Find(o.Want)
	if err != nil && o.Want.Version != "" {
		in, err = install.Fetch(ctx, o.Want, o.report)
	}
	if err == nil && in.Call == "" {
		err = fmt.Errorf("%w: there is a rabbitmq-server, but no erl_call", install.ErrNotHere)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNone, err)
	}
	dir, unlock, err := claim(o.Dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{unlock: unlock}
	began := time.Now()
	err = c.prepare(ctx, &o, in, dir, n)
	if err == nil {
		err = c.boot(ctx)
	}
	if err != nil {
		c.Stop()
		return nil, fmt.Errorf("start cluster: %w", err)
	}
	o.report("broker: a cluster of %d of %v after %.1fs", n, in, time.Since(began).Seconds())
	return c, nil
}

// prepare starts the epmd and makes the members, which find each other by their
// configuration.
func (c *Cluster) prepare(ctx context.Context, o *Options, in install.RabbitMQ, dir string, n int) error {
	ports, err := freePorts(ctx, 2*n+1)
	if err != nil {
		return err
	}
	epmd, cookie := ports[2*n], rand.Text()
	config := "disk_free_limit.absolute = 64MB\nlog.file.level = warning\n"
	for i := range n {
		claimed, unlock, err := claim(filepath.Join(dir, strconv.Itoa(i+1)))
		if err != nil {
			return err
		}
		m := newNode(o, in, claimed, unlock)
		m.port, m.dist, m.epmd, m.shared, m.cookie = ports[2*i], ports[2*i+1], epmd, true, cookie
		c.Members = append(c.Members, &Member{node: m})
		m.config = config
		if i > 0 { // the first forms the cluster at once, without looking for others
			m.config += "cluster_formation.classic_config.nodes.1 = " + c.Members[0].Name() + "\n" +
				"cluster_formation.classic_config.nodes.2 = " + m.name() + "\n" // 4.x waits for itself
		}
		if err := m.prepare(); err != nil {
			return err
		}
	}
	first := c.Members[0].node
	marks := "\n" + first.epmdArguments() // epmd takes no token
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(marks), 0o600); err != nil {
		return err
	}
	if c.epmd, err = startGuard(in, dir, first.environment(), epmdScript, in.EPMD, strconv.Itoa(epmd), filepath.Join(dir, "epmd.pid")); err != nil {
		return err
	}
	return awaitListener(ctx, epmd)
}

// awaitListener blocks until a port on loopback accepts, at most ten seconds.
func awaitListener(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for epmd: %w", err)
		case <-poll.C:
		}
	}
}

// boot starts the first member, which the others join.
func (c *Cluster) boot(ctx context.Context) error {
	if err := c.Members[0].Start(ctx); err != nil {
		return err
	}
	g, joining := errgroup.WithContext(ctx)
	for _, m := range c.Members[1:] {
		g.Go(func() error { return m.Start(joining) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, m := range c.Members {
		if err := m.awaitRunning(ctx); err != nil {
			return err
		}
	}
	for _, m := range c.Members { // each learns of the others by itself
		if err := m.awaitAnswer(ctx, "length(rabbit_nodes:all_running()).", strconv.Itoa(len(c.Members))); err != nil {
			return err
		}
	}
	return nil
}

// awaitRunning blocks until RabbitMQ reports that it runs, which is some time after it
// answers clients. A node that does not run yet takes no part in cluster-wide actions:
// it would never run a vhost that is made meanwhile, and would refuse its clients.
func (m *Member) awaitRunning(ctx context.Context) error {
	return m.awaitAnswer(ctx, "rabbit:is_running().", "true")
}

// awaitAnswer asks a member until it gives the wanted answer.
func (m *Member) awaitAnswer(ctx context.Context, question, want string) error {
	ctx, cancel := context.WithTimeout(ctx, m.node.options.BootTimeout)
	defer cancel()
	for {
		answer, err := m.Call(ctx, question)
		if err == nil && answer == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait until %s answers %s to %s, not %s: %w", m.Name(), want, question, answer, ctx.Err()), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Stop ends every process of the cluster by SIGKILL; nobody needs its data. It is
// idempotent and works in whatever state the members are.
func (c *Cluster) Stop() {
	for _, m := range c.Members {
		if r := m.node.current(); r != nil {
			r.end()
		}
		m.node.unlock()
	}
	if c.epmd != nil {
		c.epmd.end()
	}
	c.unlock()
}

// Member is one node of a Cluster. Its methods are safe for concurrent use, except
// Start: call it before anything else, or after the node has died.
type Member struct{ node *node }

// Name is the node's in Erlang, name@host.
func (m *Member) Name() string { return m.node.name() }

// Address is where it speaks AMQP, host:port.
func (m *Member) Address() string { return m.node.address() }

// URL is its AMQP URL, with credentials.
func (m *Member) URL() string { return localURL(m.node.address()) }

// Start starts the node, with the data it had, and returns when it answers.
func (m *Member) Start(ctx context.Context) error { return m.node.start(ctx) }

// Kill ends the node by SIGKILL and returns when it and its helpers are dead.
func (m *Member) Kill(ctx context.Context) error { return m.node.kill(ctx) }

// Freeze stops the node's Erlang machine by SIGSTOP and returns when none of its
// threads runs any more: on a busy machine some go on for milliseconds after the
// signal was sent, and still answer.
func (m *Member) Freeze(ctx context.Context) error {
	pid, err := m.PID()
	if err != nil {
		return fmt.Errorf("freeze: %w", err)
	}
	if err := m.node.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return awaitStopped(ctx, pid)
}

// Thaw lets a node that Freeze stopped go on. For one that runs it does nothing.
func (m *Member) Thaw() error { return m.node.signal(syscall.SIGCONT) }

// PID is the process of the node's Erlang machine; an error means that it has none.
func (m *Member) PID() (int, error) {
	pid, err := readPID(m.node.path("node.pid"))
	if err == nil && !isOurs(pid, m.node.token) {
		err = fmt.Errorf("process %d is not the node", pid)
	}
	return pid, err
}

// Call evaluates Erlang expressions in the node and returns the last one's value as
// erl_call writes it: ask for atoms and numbers, since binaries look different from
// version to version. It takes some milliseconds.
func (m *Member) Call(ctx context.Context, expressions string) (string, error) {
	for try := 1; ; try++ {
		answer, err := m.call(ctx, expressions)
		if value, ok := strings.CutPrefix(answer, "{ok, "); ok && err == nil {
			return strings.TrimSuffix(value, "}"), nil
		}
		// A node that is asked often sometimes accepts no caller. Then it has
		// evaluated nothing.
		const tries = 4
		if _, dead := m.PID(); dead != nil || try == tries || !strings.Contains(answer, "failed to connect") {
			return "", fmt.Errorf("call %s: %q answers %q: %w", m.Name(), expressions, answer, errors.Join(err, errRefused))
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// call runs erl_call once and returns all it says.
func (m *Member) call(ctx context.Context, expressions string) (string, error) {
	n := m.node
	cmd := n.install.Command(ctx, n.install.Call, "-c", n.cookie, "-address", "localhost:"+strconv.Itoa(n.dist), "-e")
	cmd.Env = n.environment()
	cmd.Stdin = strings.NewReader(expressions + "\n")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
