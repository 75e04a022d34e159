package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/test/bench/internal/dapr"
	"github.com/warrenmesh/warren/test/bench/internal/lib"
	"github.com/warrenmesh/warren/test/bench/internal/measure"
	"github.com/warrenmesh/warren/test/bench/internal/mesh"
	"github.com/warrenmesh/warren/test/bench/internal/proc"
)

// session is a connected broker with the targets that are open on it.
type session struct {
	opts    options
	say     io.Writer // progress for the user
	url     string
	nodes   []string // addresses, when there are several
	conn    *amqp.Connection
	queues  *amqp.Channel
	meter   *measure.Meter
	phases  *measure.Phases
	closers []func() error
}

// openSession connects to the broker.
func openSession(opts options, url string, say io.Writer) (*session, error) {
	meter, err := measure.NewMeter(url)
	if err != nil {
		return nil, err
	}
	conn, err := amqp.Dial(url)
	if err != nil {
		return nil, fmt.Errorf("dial the broker: %w", err)
	}
	queues, err := conn.Channel()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open channel: %w", err), conn.Close())
	}
	s := &session{opts: opts, say: say, url: url, conn: conn, queues: queues, meter: meter, phases: measure.New(meter, queues, opts.phases)}
	s.closers = append(s.closers, conn.Close)
	return s, nil
}

// close closes what was opened, in reverse order.
func (s *session) close() error { return s.closeTo(0) }

// closeTo closes all but the first n things.
func (s *session) closeTo(n int) error {
	var errs []error
	for i := len(s.closers) - 1; i >= n; i-- {
		errs = append(errs, s.closers[i]())
	}
	s.closers = s.closers[:n]
	return errors.Join(errs...)
}

// running is a target with the mesh it belongs to.
type running struct {
	*measure.Target
	mesh *mesh.Mesh // nil without one
}

// openMesh starts a mesh with the sidecar program at path. change alters its options; it
// may be nil.
func (s *session) openMesh(ctx context.Context, as, path, queue string, change func(*mesh.Options)) (*running, error) {
	dir, err := os.MkdirTemp("", "warren")
	if err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(dir) })
	o := mesh.Options{
		Name: "bench-" + strings.ToLower(rand.Text()[:8]) + "-" + as, URL: s.url, Nodes: s.nodes, Sidecar: path, ControlPlane: s.opts.controlplane,
		Socket: s.opts.socket, QueueType: queue, Prefetch: s.opts.prefetch, Dir: dir,
	}
	if change != nil {
		change(&o)
	}
	m, err := mesh.Start(ctx, o)
	if err != nil {
		return nil, err
	}
	pids := []int{m.Publisher(), m.Subscriber(), m.ControlPlane()}
	s.meter.Add(pids...)
	s.closers = append(s.closers, func() error {
		s.meter.Remove(pids...)
		return m.Close()
	})
	return &running{mesh: m, Target: &measure.Target{
		Target: m, Name: as, Queues: m.Queues(), Publisher: m.Publisher(), Subscriber: m.Subscriber(), Log: m.Log,
	}}, nil
}

// openLib opens lib on the exchange and the queue of a mesh, so that both send the same
// message the same way.
func (s *session) openLib(of *running) (*running, error) {
	queue := of.mesh.Queues()[0]
	t, err := lib.Open(lib.Options{URL: s.url, Exchange: of.mesh.Exchange(), Queue: queue, Prefetch: s.opts.prefetch})
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, t.Close)
	return &running{Target: &measure.Target{Target: t, Name: libName, Queues: []string{queue}}}, nil
}

func (s *session) openDapr(ctx context.Context) (*running, error) {
	t, err := dapr.Open(ctx, s.opts.dapr)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, t.Close)
	target := &measure.Target{Target: t, Name: daprName, Queues: []string{s.opts.dapr.Queue}}
	_, text, _ := strings.Cut(s.opts.dapr.Address, ":")
	if port, err := strconv.Atoi(text); err == nil {
		if pid, err := proc.Listener(port); err == nil { // on another machine its CPU is unknown
			target.Publisher, target.Subscriber = pid, pid
			s.meter.Add(pid)
			s.closers = append(s.closers, func() error { s.meter.Remove(pid); return nil })
		}
	}
	return &running{Target: target}, nil
}
