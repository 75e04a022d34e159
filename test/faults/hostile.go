package faults

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
)

// hostile is a local client that means harm. What it publishes goes to topics that take
// nothing, lest it is in the load's queues.
type hostile struct {
	w      *World
	target string // TCP, as any process on the host may dial
}

// nowhere is a topic that no queue listens to.
const nowhere = "nowhere"

func (h hostile) conn(more ...grpc.DialOption) *grpc.ClientConn {
	h.w.Helper()
	conn, err := grpc.NewClient(h.target, append(more, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30)))...)
	if err != nil {
		h.w.Fatal(err)
	}
	return conn
}

func (h hostile) client() (eventsv1.EventServiceClient, func()) {
	conn := h.conn()
	return eventsv1.NewEventServiceClient(conn), func() { _ = conn.Close() }
}

// longNames publishes to topics whose names have megabytes (ABUSE A2).
func (h hostile) longNames(ctx context.Context) string {
	client, done := h.client()
	defer done()
	answers := map[string]int{}
	for _, n := range []int{300, 64 << 10, 1 << 20, 3 << 20, 5 << 20} {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err := client.Publish(ctx, &eventsv1.PublishRequest{Topic: strings.Repeat("x", n), Event: plain("long")})
		cancel()
		if err == nil {
			h.w.Errorf("an event for a topic name of %d bytes is answered OK", n)
		}
		answers[status.Code(err).String()]++
	}
	return fmt.Sprintf("names of up to 5 MiB are answered %v", answers)
}

// unread opens streams that publish and never read a result (A3).
func (h hostile) unread(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	var streams sync.WaitGroup
	var sent, ended atomic.Int64
	count := h.w.often(200, 60)
	event := withData("unread", 48<<10)
	for range count {
		streams.Go(func() {
			client, done := h.client()
			defer done()
			stream, err := client.PublishStream(ctx)
			for n := uint64(1); err == nil; n++ {
				err = stream.Send(&eventsv1.PublishStreamRequest{Topic: nowhere, Entries: []*eventsv1.PublishStreamEntry{
					{RequestId: n, Event: event},
				}})
				sent.Add(1)
			}
			if ctx.Err() == nil {
				ended.Add(1)
			}
		})
	}
	streams.Wait()
	return fmt.Sprintf("%d streams wrote %d MiB and read nothing; %d were ended", count, sent.Load()*48/1024, ended.Load())
}

// compressed makes calls of some KiB that are 15 MiB when they are unpacked (A3).
func (h hostile) compressed(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client, done := h.client()
	defer done()
	var calls sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]int{}
	for range 40 {
		calls.Go(func() {
			_, err := client.Publish(ctx, &eventsv1.PublishRequest{Topic: nowhere}, grpc.UseCompressor(packed{}.Name()))
			mu.Lock()
			defer mu.Unlock()
			answers[status.Code(err).String()]++
		})
	}
	calls.Wait()
	return fmt.Sprintf("40 calls of %d MiB in %d KiB are answered %v", unpacked>>20, len(bomb())>>10, answers)
}

// resets opens and resets HTTP/2 streams as fast as four connections can (A8).
func (h hostile) resets(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var conns sync.WaitGroup
	var reset, closed atomic.Int64
	for range 4 {
		conns.Go(func() {
			for ctx.Err() == nil {
				n, err := resetStreams(ctx, h.target)
				reset.Add(n)
				if err != nil && ctx.Err() == nil {
					closed.Add(1)
				}
			}
		})
	}
	conns.Wait()
	return fmt.Sprintf("%d streams were reset, %d connections were closed for it", reset.Load(), closed.Load())
}

// idle opens connections and says nothing on them (A9).
func (h hostile) idle(ctx context.Context) string {
	count := h.w.often(2000, 500)
	opened := map[string]int{}
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for _, at := range []struct{ address, hello string }{
		{h.target, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, "")},
		{h.w.checkout.StatusAddress(), "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	} {
		dialer := net.Dialer{Timeout: 500 * time.Millisecond}
		for range count {
			c, err := dialer.DialContext(ctx, "tcp", at.address)
			if err != nil {
				break // it accepts no more
			}
			conns = append(conns, c)
			_, _ = io.WriteString(c, at.hello)
			opened[at.address]++
		}
	}
	if err := h.w.checkout.Ready(ctx); err != nil {
		h.w.Errorf("with %d idle connections the probe is answered %v", len(conns), err)
	}
	h.w.keep(3 * time.Second)
	return fmt.Sprintf("%d connections to the event port and %d to the probes stay open and are silent", opened[h.target], opened[h.w.checkout.StatusAddress()])
}

// unknownTopics publishes to a topic that there is not, each time another (A11).
func (h hostile) unknownTopics(ctx context.Context) string {
	client, done := h.client()
	defer done()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var callers sync.WaitGroup
	var mu sync.Mutex
	answers, calls := map[string]int{}, 0
	tick := time.NewTicker(time.Second / 480)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		calls++
		n := calls
		callers.Go(func() {
			_, err := client.Publish(ctx, &eventsv1.PublishRequest{Topic: fmt.Sprintf("unknown-%d", n), Event: plain("unknown")})
			mu.Lock()
			defer mu.Unlock()
			answers[status.Code(err).String()]++
		})
	}
	callers.Wait()
	return fmt.Sprintf("%d calls for unknown topics are answered %v", calls, answers)
}

// watchers opens Subscribe streams that never say what they want, and watches the
// health of the server thousands of times (A12).
func (h hostile) watchers(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, h.w.slowly(30*time.Second))
	defer cancel()
	// Several connections: a bound on the streams of one is no end for a silent one.
	conns := make([]*grpc.ClientConn, 24)
	for i := range conns {
		conns[i] = h.conn()
		defer func() { _ = conns[i].Close() }()
	}
	var streams sync.WaitGroup
	var ended, watched atomic.Int64
	for i := range 1024 {
		streams.Go(func() {
			stream, err := eventsv1.NewEventServiceClient(conns[i%len(conns)]).Subscribe(ctx)
			if err == nil {
				_, err = stream.Recv()
			}
			if err != nil && ctx.Err() == nil {
				ended.Add(1)
			}
		})
	}
	more, stop := context.WithCancel(ctx)
	for i := range h.w.often(20_000, 3000) {
		streams.Go(func() {
			stream, err := grpc_health_v1.NewHealthClient(conns[i%len(conns)]).Watch(more, &grpc_health_v1.HealthCheckRequest{})
			if err == nil {
				watched.Add(1)
				_, _ = stream.Recv()
				_, _ = stream.Recv()
			}
		})
	}
	h.w.within(h.w.slowly(25*time.Second), func() bool { return ended.Load() >= 1024 })
	if n := ended.Load(); n < 1024 {
		h.w.Errorf("of 1,024 streams that never say what they want %d were ended", n)
	}
	stop()
	cancel()
	streams.Wait()
	return fmt.Sprintf("%d of 1,024 silent streams were ended; %d watches of health", ended.Load(), watched.Load())
}
