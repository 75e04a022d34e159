package receive

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/broker/rabbit/internal/conn"
)

// fakeAcker is a consumer channel whose broker is the test.
type fakeAcker struct {
	closed bool
	err    error
	sent   []string
}

func (a *fakeAcker) Ack(tag uint64, multiple bool) error {
	if multiple {
		return a.send("ack up to", tag)
	}
	return a.send("ack", tag)
}

func (a *fakeAcker) Nack(tag uint64, _, requeue bool) error {
	return a.send(fmt.Sprintf("reject requeue=%t", requeue), tag)
}

func (a *fakeAcker) send(what string, tag uint64) error {
	a.sent = append(a.sent, fmt.Sprintf("%s %d", what, tag))
	return a.err
}

func (a *fakeAcker) Cancel(string, bool) error { return nil }
func (a *fakeAcker) IsClosed() bool            { return a.closed }
func (a *fakeAcker) Close() error              { a.sent = append(a.sent, "close"); return nil }

func TestADeliveryIsSettledOnceAndOnlyOnItsOwnChannel(t *testing.T) {
	t.Parallel()
	var counted atomic.Uint64
	a := &fakeAcker{}
	o := conn.Options{}.WithDefaults()
	s := &conn.Session{Options: &o}
	c := newInbound(s, queueing.ConsumeOptions{Queue: "q"}, false, &counted)
	c.channel, c.acks = a, a
	for tag := range uint64(6) {
		c.track(1 + tag)
	}
	stale := 0
	wantStale := func(why string, err error) {
		t.Helper()
		stale++
		if !errors.Is(err, broker.ErrStale) || counted.Load() != uint64(stale) {
			t.Errorf("%s: error %v and %d counted, want ErrStale and %d", why, err, counted.Load(), stale)
		}
	}
	if err := errors.Join(c.Ack(1), c.Requeue(2)); err != nil {
		t.Fatal(err)
	}
	wantStale("settled before", c.Ack(1))
	wantStale("settled before in another way", c.Ack(2))
	wantStale("never delivered", c.Ack(99))
	c.await()
	a.err = amqp.ErrClosed
	if err := c.Ack(3); err != nil {
		t.Errorf("nobody knows yet that the connection is lost, but: %v", err)
	}
	c.await()
	stale++ // and counted when it could not be sent
	a.err, a.closed = nil, true
	wantStale("the channel is gone", c.Ack(4))
	a.closed = false
	if err := c.Ack(5); err != nil {
		t.Fatal(err)
	}
	c.close()
	c.close()
	wantStale("the channel was drained", c.Requeue(6))
	want := []string{"reject requeue=true 2", "ack 1", "ack 3", "ack 5", "close"}
	if fmt.Sprint(a.sent) != fmt.Sprint(want) {
		t.Errorf("sent %v, want %v", a.sent, want)
	}
}
