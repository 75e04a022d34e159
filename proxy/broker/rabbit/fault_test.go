package rabbit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/warrenmesh/warren/internal/brokertest/one"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// This test counts the process's goroutines, so it does not run beside others.
func TestGoroutinesAndDescriptorsStayFlatOverReconnects(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.MaxBackoff = 50 * time.Millisecond })
	queue := f.queue("q")
	in := f.consume(queue, 10)
	cut := func(i int) {
		before := f.node.publish.Live()
		ctx := f.context()
		for range 20 {
			if r, err := one.Publish(ctx, f.node.Publish, *toQueue(queue, fmt.Sprint(i))); err == nil {
				defer func() { _ = r.Wait(ctx) }() // confirmed or unknown; it must only not hang
			}
		}
		f.proxy.Cut()
		f.poll("the node has new connections", func() bool {
			s, c := f.node.publish.Live(), f.node.consume.Live()
			return s != nil && s != before && !s.Lost() && c != nil && !c.Lost()
		})
		id := fmt.Sprintf("%d-after", i)
		f.poll("publishes are confirmed again", func() bool { return f.publish(toQueue(queue, id)) == nil })
		for got := ""; got != id; { // before it comes what was in flight at the cut
			d := in.next()
			got = d.Event.ID
			_ = d.Ack() // stale for what came over the connection that was cut
		}
	}
	for i := range 3 {
		cut(i)
	}
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	for i := range 200 {
		cut(i + 3)
	}
	// A few belong to connections that are still being torn down.
	const slack = 10
	f.poll("goroutines are as many as before", func() bool { return runtime.NumGoroutine() <= goroutines+slack })
	f.poll("descriptors are as many as before", func() bool { return openDescriptors(t) <= descriptors+slack })
}

func TestStoppingInAnyStateLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue, u := f.queue("q"), server(t)
	for after := range 50 { // milliseconds; a connection is up after some of them
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			t.Parallel()
			n := New(options(t, u, f.proxy.Addr()))
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(after)*time.Millisecond)
			defer cancel()
			var users sync.WaitGroup
			users.Go(func() {
				drain, _ := n.Consume(ctx, queueing.ConsumeOptions{Queue: queue, Prefetch: 1}, one.Each(func(d *queueing.Delivery) { _ = d.Ack() }))
				drain()
			})
			users.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					if r, err := one.Publish(ctx, n.Publish, *toQueue(queue, fmt.Sprint(i))); err == nil {
						_ = r.Wait(ctx)
					}
				}
			})
			users.Go(func() {
				_ = n.EnsureTopology(ctx, queueing.Topology{Policy: mesh.Manage, Queues: []queueing.Queue{{Name: queue}}})
			})
			ended := make(chan error, 1)
			go func() { ended <- n.Run(ctx) }()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(patience):
				t.Error("Run did not return after its context's end")
			}
			users.Wait()
			if s := n.State(); s.Publishing || s.Consuming {
				t.Errorf("state after Run is %+v", s)
			}
		})
	}
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, os.ErrNotExist) {
		return 0 // not Linux
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// stall makes connections whose writes block as on a full socket while it is on.
type stall struct {
	on    atomic.Bool
	wrote chan struct{} // gets a value when a write begins to block
}

func (s *stall) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &stalledConn{Conn: c, stall: s, closed: make(chan struct{})}, nil
}

type stalledConn struct {
	net.Conn
	stall    *stall
	closing  sync.Once
	closed   chan struct{}
	deadline atomic.Pointer[time.Time]
}

func (c *stalledConn) SetWriteDeadline(t time.Time) error {
	c.deadline.Store(&t)
	return c.Conn.SetWriteDeadline(t)
}

func (c *stalledConn) Write(p []byte) (int, error) {
	if !c.stall.on.Load() {
		return c.Conn.Write(p)
	}
	select {
	case c.stall.wrote <- struct{}{}:
	default:
	}
	t := time.NewTimer(time.Until(*c.deadline.Load()))
	defer t.Stop()
	select {
	case <-t.C:
		return 0, os.ErrDeadlineExceeded
	case <-c.closed:
		return 0, net.ErrClosed
	}
}

func (c *stalledConn) Close() error {
	c.closing.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func TestABrokerThatStopsReadingHangsNoCaller(t *testing.T) {
	t.Parallel()
	s := &stall{wrote: make(chan struct{}, 1)}
	f := newFixture(t, func(o *Options) {
		o.Dial, o.WriteTimeout, o.Window, o.Channels = s.dial, 700*time.Millisecond, 4, 1
	})
	queue := f.queue("q")
	f.mustPublish(toQueue(queue, "before"))
	live := f.node.publish.Live()
	s.on.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var receipts []*one.Receipt
	for i := range 4 { // one is being written, one waits, one does not fit, one is behind it
		m := toQueue(queue, fmt.Sprint(i))
		m.Event.Data = make([]byte, 64<<10) // as much as waits for the kernel
		r, err := one.Publish(ctx, f.node.Publish, *m)
		if err != nil {
			t.Fatalf("publish %d into the window: %v", i, err)
		}
		receipts = append(receipts, r)
	}
	_, err := one.Publish(ctx, f.node.Publish, *toQueue(queue, "over the window"))
	wantKind(t, err, broker.WindowFull, broker.NotSent)
	wantKind(t, receipts[0].Wait(ctx), broker.ConfirmTimeout, broker.Unknown)
	wantKind(t, receipts[3].Wait(ctx), broker.WindowFull, broker.NotSent)
	select {
	case <-live.Done():
	case <-time.After(patience):
		t.Fatal("a write that exceeded its deadline did not end the connection")
	}
	s.on.Store(false)
	f.poll("the node publishes again", func() bool { return f.publish(toQueue(queue, "after")) == nil })
}

func TestStoppingIsNotHeldUpByABrokerThatStopsReading(t *testing.T) {
	t.Parallel()
	s := &stall{wrote: make(chan struct{}, 1)}
	u := server(t)
	o := options(t, u, hostPort(u))
	o.Dial, o.WriteTimeout, o.CloseTimeout = s.dial, time.Hour, 200*time.Millisecond
	n := New(o)
	stop := runNode(t, n)
	f := newFixture(t)
	queue := f.queue("q")
	f.poll("the node publishes", func() bool {
		r, err := one.Publish(f.context(), n.Publish, *toQueue(queue, "0"))
		return err == nil && r.Wait(f.context()) == nil
	})
	s.on.Store(true)
	r, err := one.Publish(f.context(), n.Publish, *toQueue(queue, "1"))
	if err != nil {
		t.Fatal(err)
	}
	<-s.wrote
	stop() // fails the test when Run does not return
	wantKind(t, r.Wait(f.context()), broker.Closed, broker.Unknown)
}

func TestAHalfOpenConnectionIsFoundByItsUnconfirmedPublishes(t *testing.T) {
	t.Parallel()
	// The heartbeat would need 90 seconds, and no context has as long.
	f := newFixture(t, func(o *Options) { o.ConfirmWatch, o.Heartbeat = 400*time.Millisecond, time.Minute })
	queue := f.queue("q")
	f.mustPublish(toQueue(queue, "before"))
	release := f.proxy.HoldReplies()
	defer release()
	r, err := one.Publish(f.context(), f.node.Publish, *toQueue(queue, "lost"))
	if err != nil {
		t.Fatal(err)
	}
	wantKind(t, r.Wait(f.context()), broker.Closed, broker.Unknown)
	release()
	f.poll("the node publishes again", func() bool { return f.publish(toQueue(queue, "after")) == nil })
}

func TestAHalfOpenConnectionIsFoundByItsConsumers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *Options) { o.ConfirmWatch, o.Heartbeat = 400*time.Millisecond, time.Minute })
	queue := f.queue("q")
	in := f.consume(queue, 1)
	f.mustPublish(toQueue(queue, "before"))
	if err := in.next().Ack(); err != nil {
		t.Fatal(err)
	}
	live := f.node.consume.Live()
	release := f.proxy.HoldReplies()
	defer release()
	select {
	case <-live.Done():
	case <-time.After(patience):
		t.Fatal("a consumer waits on a connection that is dead")
	}
	release()
	f.poll("the node publishes again", func() bool { return f.publish(toQueue(queue, "after")) == nil })
	if d := in.next(); d.Event.ID != "after" {
		t.Errorf("received %s", d.Event.ID)
	}
}

func TestASilentConnectionThatNobodyNeedsIsNotAsked(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *Options) { o.ConfirmWatch, o.Heartbeat = 100*time.Millisecond, time.Minute })
	live := f.node.consume.Live()
	f.poll("the connection has been silent for ten times as long", func() bool { return live.Silence() > time.Second })
	in := f.consume(f.queue("q"), 1)
	silent := false
	f.poll("it is asked while a consumer waits", func() bool {
		d := live.Silence()
		silent = silent || d > 30*time.Millisecond
		return silent && d < 20*time.Millisecond
	})
	in.stop()
	if live.Lost() {
		t.Error("a living connection was ended")
	}
}

func TestAnAlarmOfTheBrokerIsToldAndStopsPublishes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	queue := f.queue("q")
	live := f.node.publish.Live()
	live.Alarm.Set(true, "low on memory") // what connection.blocked does
	_, err := one.Publish(f.context(), f.node.Publish, *toQueue(queue, "1"))
	wantKind(t, err, broker.Blocked, broker.NotSent)
	if told := f.node.State(); !told.Blocked || told.Publishing || !told.Consuming || told.Reason == "" {
		t.Errorf("state under an alarm is %+v", told)
	}
	in := f.consume(queue, 1)
	if err := f.plain.Publish("", queue, false, false, toPlain("2")); err != nil {
		t.Fatal(err)
	}
	if err := in.next().Ack(); err != nil {
		t.Errorf("ack under an alarm: %v", err)
	}
	live.Alarm.Set(false, "")
	f.mustPublish(toQueue(queue, "3"))
}

func TestWrongCredentialsAreAClearStateAndHealWhenTheyAreRight(t *testing.T) {
	t.Parallel()
	u := server(t)
	var right atomic.Bool
	o := options(t, u, hostPort(u))
	o.SlowBackoff = 10 * time.Millisecond
	o.Credentials = func() (string, string, error) {
		if right.Load() {
			return u.Username, u.Password, nil
		}
		return u.Username, "wrong", nil
	}
	n := New(o)
	runNode(t, n)
	f := newFixture(t)
	f.poll("the state says that access is refused", func() bool {
		return n.State().Reason == "publish connection: open connection to "+hostPort(u)+`: Exception (403) Reason: "username or password not allowed"`
	})
	right.Store(true)
	f.poll("the node is up", func() bool { s := n.State(); return s.Publishing && s.Consuming && s.Reason == "" })
}

func TestAMissingVHostIsAClearState(t *testing.T) {
	t.Parallel()
	u := server(t)
	o := options(t, u, hostPort(u))
	o.VHost = "no such vhost"
	n := New(o)
	runNode(t, n)
	f := newFixture(t)
	f.poll("the state names the vhost", func() bool {
		s := n.State()
		return !s.Publishing && !s.Consuming && s.Reason != "publish connection: not started"
	})
	t.Log(n.State().Reason)
}
