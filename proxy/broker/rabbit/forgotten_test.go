package rabbit

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// deaf makes connections to which the broker does not send that a consumer was
// cancelled: it is told that this client would not understand.
type deaf struct{ told atomic.Int32 }

func (d *deaf) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	return deafConn{c, d}, err
}

type deafConn struct {
	net.Conn
	deaf *deaf
}

func (c deafConn) Write(p []byte) (int, error) {
	yes, no := []byte("consumer_cancel_notifyt\x01"), []byte("consumer_cancel_notifyt\x00")
	if bytes.Contains(p, yes) {
		p = bytes.Replace(p, yes, no, 1)
		c.deaf.told.Add(1)
	}
	return c.Conn.Write(p)
}

func newDeafFixture(t *testing.T) *fixture {
	t.Helper()
	d := &deaf{}
	f := newFixture(t, func(o *Options) { o.Dial, o.QueueCheck = d.dial, 50*time.Millisecond })
	if d.told.Load() != 2 {
		t.Fatalf("%d connections are deaf, want both", d.told.Load())
	}
	return f
}

func TestAConsumerWhoseCancelNeverComesDeclaresItsQueueAgain(t *testing.T) {
	t.Parallel()
	f := newDeafFixture(t)
	queue := f.queue("q")
	in := f.consume(queue, 1)
	f.mustPublish(toQueue(queue, "before"))
	if err := in.next().Ack(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.plain.QueueDelete(queue, false, false, false); err != nil {
		t.Fatal(err)
	}
	f.poll("the queue is there again", func() bool { return f.publish(toQueue(queue, "after")) == nil })
	if d := in.next(); d.Event.ID != "after" {
		t.Errorf("received %s", d.Event.ID)
	}
}

func TestAConsumerThatItsQueueHasForgottenAttachesAgain(t *testing.T) {
	t.Parallel()
	f := newDeafFixture(t)
	classic := queueing.Queue{Name: f.name("q"), Type: "classic"}
	queue := classic.Name
	f.ensure(queueing.Topology{Queues: []queueing.Queue{classic}})
	in := f.consume(queue, 1)
	f.mustPublish(toQueue(queue, "before"))
	if err := in.next().Ack(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.plain.QueueDelete(queue, false, false, false); err != nil {
		t.Fatal(err)
	}
	if _, err := f.plain.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "classic"}); err != nil {
		t.Fatal(err)
	}
	f.mustPublish(toQueue(queue, "after"))
	if d := in.next(); d.Event.ID != "after" {
		t.Errorf("received %s", d.Event.ID)
	}
}
