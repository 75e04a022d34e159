package send

import (
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
)

func TestAFullQueueNacksAsUnknownAndTheChannelIsReplaced(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *conn.Options) { o.Channels = 1 })
	full, free := f.name("full"), f.queue("free")
	args := amqp.Table{"x-max-length": int32(1), "x-overflow": "reject-publish"}
	f.declare(full, args)
	f.mustPublish(toQueue(full, "1"))
	lane := f.sender.live.Load().lanes.list()[0]
	first := lane.current()
	f.poll("a nack retires the channel", func() bool {
		wantKind(t, f.publish(toQueue(full, "2")), broker.Nacked, broker.Unknown)
		return first.isRetired()
	})
	f.mustPublish(toQueue(free, "3"))
	if lane.current() == first {
		t.Error("publishes go on through the channel that nacked")
	}
}

func TestASlowConfirmOnALivingConnectionIsWaitedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *conn.Options) { o.ConfirmWatch, o.Heartbeat = 4*time.Second, time.Minute })
	live := f.link.Live()
	// A publish that waits, on a broker that has nothing to say but answers: no
	// confirm will come for it, because it was never sent.
	f.mustPublish(toQueue(f.queue("q"), "1"))
	c := f.sender.live.Load().lanes.list()[0].current()
	unsent := newPending("x", "unsent")
	unsent.stage.Store(queued)
	if n, _, err := c.ring.add(unsent.batch.pendings, 1); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	defer c.ring.takeBack(1)
	silent := false
	f.poll("the broker has been asked and has answered", func() bool {
		d := live.Silence()
		silent = silent || d > 1500*time.Millisecond
		return silent && d < time.Second
	})
	if live.Lost() {
		t.Error("a living connection was ended")
	}
}
