// Package hostile is a malicious local client. Each call of Run makes one attack.
//
// An attack runs in a process of its own, as it would in a pod, so that its own cost
// does not slow the callers that the test measures. (Two hundred streams that wrote in
// the test's own process delayed the measured callers by a second, at any sidecar.) It
// publishes to Topic, which has no queue, so that its events do not fill the queues of
// the load.
package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
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

// Topic is the topic that attacks publish to.
const Topic = "nowhere"

// Target is the attacked sidecar.
type Target struct {
	// Events and Status are host:port of the event API, which any process on the host
	// can dial, and of the probes.
	Events, Status string
	// Short asks for fewer streams and connections.
	Short bool
}

var attacks = map[string]func(Target, context.Context) (string, error){
	"long names":       Target.longNames,
	"unread streams":   Target.unread,
	"compressed calls": Target.compressed,
	"resets":           Target.resets,
	"idle connections": Target.idle,
	"unknown topics":   Target.unknownTopics,
	"silent streams":   Target.watchers,
}

// Run makes the attack with that name. It returns a description of the attack and of
// the answers. The error says what the sidecar should have done and did not do. ctx
// bounds the attack.
func Run(ctx context.Context, name string, at Target) (proof string, err error) {
	attack := attacks[name]
	if attack == nil {
		return "", fmt.Errorf("attack %q is unknown: one of %q", name, slices.Sorted(maps.Keys(attacks)))
	}
	return attack(at, ctx)
}

func (t Target) often(full, short int) int {
	if t.Short {
		return short
	}
	return full
}

func (t Target) conn(more ...grpc.DialOption) (*grpc.ClientConn, error) {
	return grpc.NewClient(t.Events, append(more, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy(),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(1<<30)))...)
}

func (t Target) client() (client eventsv1.EventServiceClient, done func(), err error) {
	conn, err := t.conn()
	if err != nil {
		return nil, nil, err
	}
	return eventsv1.NewEventServiceClient(conn), func() { _ = conn.Close() }, nil
}

func plain(id string) *eventsv1.CloudEvent {
	return &eventsv1.CloudEvent{Id: id, Source: "/faults", SpecVersion: "1.0", Type: "faults.odd"}
}

func withData(id string, n int) *eventsv1.CloudEvent {
	e := plain(id)
	e.Data = &eventsv1.CloudEvent_BinaryData{BinaryData: make([]byte, n)}
	return e
}

// longNames publishes to topics with names of several megabytes (ABUSE A2).
func (t Target) longNames(ctx context.Context) (string, error) {
	client, done, err := t.client()
	if err != nil {
		return "", err
	}
	defer done()
	answers := map[string]int{}
	for _, n := range []int{300, 64 << 10, 1 << 20, 3 << 20, 5 << 20} {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err := client.Publish(ctx, &eventsv1.PublishRequest{Topic: strings.Repeat("x", n), Event: plain("long")})
		cancel()
		if err == nil {
			return "", fmt.Errorf("an event for a topic name of %d bytes is answered OK", n)
		}
		answers[status.Code(err).String()]++
	}
	return fmt.Sprintf("names of up to 5 MiB are answered %v", answers), nil
}

// unread opens streams that publish and never read a result (A3).
func (t Target) unread(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	var streams sync.WaitGroup
	var sent, ended atomic.Int64
	count := t.often(200, 60)
	event := withData("unread", 48<<10)
	for range count {
		streams.Go(func() {
			client, done, err := t.client()
			if err != nil {
				return
			}
			defer done()
			stream, err := client.PublishStream(ctx)
			for n := uint64(1); err == nil; n++ {
				err = stream.Send(&eventsv1.PublishStreamRequest{Topic: Topic, Entries: []*eventsv1.PublishStreamEntry{
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
	return fmt.Sprintf("%d streams wrote %d MiB and read nothing; %d were ended", count, sent.Load()*48/1024, ended.Load()), nil
}

// compressed makes calls of a few KiB that are 15 MiB when decompressed (A3).
func (t Target) compressed(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client, done, err := t.client()
	if err != nil {
		return "", err
	}
	defer done()
	var calls sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]int{}
	for range 40 {
		calls.Go(func() {
			_, err := client.Publish(ctx, &eventsv1.PublishRequest{Topic: Topic}, grpc.UseCompressor(packed{}.Name()))
			mu.Lock()
			defer mu.Unlock()
			answers[status.Code(err).String()]++
		})
	}
	calls.Wait()
	return fmt.Sprintf("40 calls of %d MiB in %d KiB are answered %v", unpacked>>20, len(bomb())>>10, answers), nil
}

// resets opens and resets HTTP/2 streams as fast as four connections can (A8).
func (t Target) resets(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var conns sync.WaitGroup
	var reset, closed atomic.Int64
	for range 4 {
		conns.Go(func() {
			for ctx.Err() == nil {
				n, err := resetStreams(ctx, t.Events)
				reset.Add(n)
				if err != nil && ctx.Err() == nil {
					closed.Add(1)
				}
			}
		})
	}
	conns.Wait()
	return fmt.Sprintf("%d streams were reset, %d connections were closed for it", reset.Load(), closed.Load()), nil
}

// idle opens connections and sends nothing on them (A9).
func (t Target) idle(ctx context.Context) (string, error) {
	count := t.often(2000, 500)
	opened := map[string]int{}
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for _, at := range []struct{ address, hello string }{
		{t.Events, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, "")},
		{t.Status, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"},
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
	if err := t.ready(ctx); err != nil {
		return "", fmt.Errorf("with %d idle connections the probe is answered %w", len(conns), err)
	}
	select {
	case <-time.After(3 * time.Second):
	case <-ctx.Done():
	}
	return fmt.Sprintf("%d connections to the event port and %d to the probes stay open and are silent", opened[t.Events], opened[t.Status]), nil
}

func (t Target) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.Status+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// unknownTopics publishes to topics that do not exist, each time to another one (A11).
func (t Target) unknownTopics(ctx context.Context) (string, error) {
	client, done, err := t.client()
	if err != nil {
		return "", err
	}
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
	return fmt.Sprintf("%d calls for unknown topics are answered %v", calls, answers), nil
}

const (
	silent   = 1024 // streams that never send init
	watchFor = 2 * time.Minute
)

// watchers opens Subscribe streams that never send init, and watches the health of the
// server thousands of times (A12).
func (t Target) watchers(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, watchFor)
	defer cancel()
	// Several connections, because a limit on the streams of one connection would end
	// the attack before a silent stream is ended.
	conns := make([]*grpc.ClientConn, 24)
	for i := range conns {
		var err error
		if conns[i], err = t.conn(); err != nil {
			return "", err
		}
		defer func() { _ = conns[i].Close() }()
	}
	var streams sync.WaitGroup
	var ended, watched atomic.Int64
	all := make(chan struct{})
	for i := range silent {
		streams.Go(func() {
			stream, err := eventsv1.NewEventServiceClient(conns[i%len(conns)]).Subscribe(ctx)
			if err == nil {
				_, err = stream.Recv()
			}
			if err != nil && ctx.Err() == nil && ended.Add(1) == silent {
				close(all)
			}
		})
	}
	more, stop := context.WithCancel(ctx)
	for i := range t.often(20_000, 3000) {
		streams.Go(func() {
			stream, err := grpc_health_v1.NewHealthClient(conns[i%len(conns)]).Watch(more, &grpc_health_v1.HealthCheckRequest{})
			if err == nil {
				watched.Add(1)
				_, _ = stream.Recv()
				_, _ = stream.Recv()
			}
		})
	}
	select {
	case <-all:
	case <-ctx.Done():
	}
	over := ended.Load()
	stop()
	cancel()
	streams.Wait()
	if over < silent {
		return "", fmt.Errorf("of %d streams that never say what they want %d were ended", silent, over)
	}
	return fmt.Sprintf("%d silent streams were ended; %d watches of health", over, watched.Load()), nil
}
