package mesh

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/client"
	"github.com/warrenmesh/warren/internal/process"
	"github.com/warrenmesh/warren/test/bench/internal/load"
)

// grace is how long a process may take to end.
const grace = 15 * time.Second

// Options of a Mesh. All are required.
type Options struct {
	// Name is the namespace, the exchange and the queue.
	Name string
	// URL of the broker.
	URL string
	// Sidecar and ControlPlane are the paths of the programs.
	Sidecar, ControlPlane string
	// Socket is how services reach their sidecar: unix or tcp.
	Socket string
	// QueueType is classic or quorum.
	QueueType string
	// Prefetch is the subscription's, in messages.
	Prefetch int
	// Dir is for configuration, state, sockets and logs. Its path must be short,
	// because paths of sockets are bounded.
	Dir string
}

// Mesh implements load.Target.
type Mesh struct {
	opts        Options
	programs    *process.Group
	spans       *discard
	control     *process.Process
	pub, sub    *sidecar
	publishing  eventsv1.EventServiceClient
	subscribing eventsv1.EventServiceClient
}

var _ load.Target = (*Mesh)(nil)

// sidecar is a process with the connection of the service beside it.
type sidecar struct {
	process *process.Process
	admin   string
	conn    *grpc.ClientConn
}

// Start starts all processes and returns when events can flow. When it fails, it leaves
// nothing behind.
func Start(ctx context.Context, opts Options) (*Mesh, error) {
	m := &Mesh{opts: opts, programs: process.NewGroup()}
	if err := m.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start mesh %s: %w", opts.Name, err), m.Close())
	}
	return m, nil
}

func (m *Mesh) start(ctx context.Context) (err error) {
	if err := m.opts.writeFiles(); err != nil {
		return err
	}
	if m.spans, err = startDiscard(ctx); err != nil {
		return err
	}
	if err := m.startControlPlane(ctx); err != nil {
		return err
	}
	if m.pub, err = m.startSidecar(ctx, publisher, "--topic", topic); err != nil {
		return err
	}
	if m.sub, err = m.startSidecar(ctx, subscriber); err != nil {
		return err
	}
	// Use the generated streams: with package client, its queues and goroutines would
	// be measured too.
	m.publishing, m.subscribing = client.New(m.pub.conn).API(), client.New(m.sub.conn).API()
	return m.awaitQueue(ctx)
}

// dial connects as a service does.
func dial(target string) (*grpc.ClientConn, error) {
	return grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
}

// PIDs returns the processes of the sidecars.
func (m *Mesh) PIDs() []int { return []int{m.pub.process.PID(), m.sub.process.PID()} }

// ControlPlane returns the process of the control plane.
func (m *Mesh) ControlPlane() int { return m.control.PID() }

// Log returns the last lines of each program, for the error of a run.
func (m *Mesh) Log() string {
	var out strings.Builder
	for _, p := range []*process.Process{m.control, m.pub.process, m.sub.process} {
		_, _ = fmt.Fprintf(&out, "the end of the log of %s:\n%s\n", p.Name(), p.Tail(12))
	}
	return out.String()
}

func (m *Mesh) path(name string) string { return filepath.Join(m.opts.Dir, name) }

// Close ends the processes and deletes their exchange and queues. It works on a
// half-started mesh too.
func (m *Mesh) Close() error {
	for _, s := range []*sidecar{m.pub, m.sub} {
		if s != nil {
			_ = s.conn.Close() // no call is in progress
		}
	}
	m.programs.Stop(grace)
	if m.spans != nil {
		m.spans.stop()
	}
	return m.deleteTopology()
}

func (m *Mesh) deleteTopology() error {
	conn, err := amqp.Dial(m.opts.URL)
	if err != nil {
		return fmt.Errorf("dial the broker: %w", err)
	}
	ch, err := conn.Channel()
	if err != nil {
		return errors.Join(fmt.Errorf("open channel: %w", err), conn.Close())
	}
	var errs []error
	for _, queue := range []string{m.opts.Name, m.opts.deadQueue()} {
		_, err := ch.QueueDelete(queue, false, false, false)
		errs = append(errs, err)
	}
	errs = append(errs, ch.ExchangeDelete(m.opts.Name, false, false), conn.Close())
	return errors.Join(errs...)
}
