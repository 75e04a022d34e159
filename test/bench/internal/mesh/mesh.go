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

// Options of a Mesh. The first group is required.
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

	// Nodes are the addresses of the broker's nodes. None means the node of URL.
	Nodes []string
	// Sampling is the share of traces that are sampled. 0 means 0.01.
	Sampling float64
	// Push makes the sidecar call the subscriber instead of being called by it.
	Push bool
	// Partitions is how many the topic has; the subscription is ordered by key then. 0
	// means none, and no order.
	Partitions int
	// Topics, each with a route, and Subscriptions are how many the sidecars know, with
	// the one of each that events pass. Rules is how many the topic's route has, of which
	// the last one matches. 0 means one of each, and no route.
	Topics, Rules, Subscriptions int

	pushPort int
}

// Mesh implements load.Target.
type Mesh struct {
	opts        Options
	programs    *process.Group
	spans       *discard
	handler     *handler // nil without Push
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
	spec    process.Spec
	status  string // address of its probes
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
	if m.opts.Push {
		if m.handler, err = startHandler(ctx); err != nil {
			return err
		}
		m.opts.pushPort = m.handler.port
	}
	if err := m.opts.writeFiles(); err != nil {
		return err
	}
	if m.spans, err = startDiscard(ctx); err != nil {
		return err
	}
	if err := m.startControlPlane(ctx); err != nil {
		return err
	}
	topics := []string{"--topic", topic}
	for i := 1; i < m.opts.Topics; i++ {
		topics = append(topics, "--topic", fmt.Sprintf("%s-%d", idle, i))
	}
	if m.pub, err = m.startSidecar(ctx, publisher, topics...); err != nil {
		return err
	}
	if m.sub, err = m.startSidecar(ctx, subscriber); err != nil {
		return err
	}
	// Use the generated streams: with package client, its queues and goroutines would
	// be measured too.
	m.publishing, m.subscribing = client.New(m.pub.conn).API(), client.New(m.sub.conn).API()
	if m.opts.Push {
		return nil // a sidecar is ready when it consumes for push
	}
	return m.awaitQueue(ctx)
}

// dial connects as a service does.
func dial(target string) (*grpc.ClientConn, error) {
	return grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
}

// Publisher returns the process of the sidecar beside the publisher.
func (m *Mesh) Publisher() int { return m.pub.process.PID() }

// Subscriber returns the process of the sidecar beside the subscriber.
func (m *Mesh) Subscriber() int { return m.sub.process.PID() }

// Queues returns the queues in which the events wait.
func (m *Mesh) Queues() []string { return m.opts.queues() }

// Exchange returns where the events are published.
func (m *Mesh) Exchange() string { return m.opts.Name }

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
	if m.handler != nil {
		m.handler.stop()
	}
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
	queues, exchanges := m.opts.topology()
	for _, queue := range queues {
		_, err := ch.QueueDelete(queue, false, false, false)
		errs = append(errs, err)
	}
	for _, exchange := range exchanges {
		errs = append(errs, ch.ExchangeDelete(exchange, false, false))
	}
	return errors.Join(append(errs, conn.Close())...)
}
