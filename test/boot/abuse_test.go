package boot_test

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/proxy"
	"github.com/warrenmesh/warren/proxy/broker/membroker"
	"github.com/warrenmesh/warren/proxy/door/rpcerr"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/xds"
)

// limited starts a sidecar with small limits.
func (p *product) limited(change func(*proxy.Options)) *sidecar {
	p.t.Helper()
	opts := proxy.Options{
		Node:         xds.Node{ID: "checkout~limited", Namespace: "shop", Workload: "checkout", Labels: map[string]string{"app": "billing"}},
		ControlPlane: p.plane.XDSAddr(), Memory: p.memory.Broker, Listen: []string{"127.0.0.1:0"}, ReadyRequiresBroker: true, Logger: slog.New(slog.DiscardHandler),
	}
	change(&opts)
	px, err := proxy.New(opts)
	if err != nil {
		p.t.Fatal(err)
	}
	s := &sidecar{Proxy: px, stop: p.run(px.Run)}
	wait(p.t, "the sidecar", px.Started())
	s.conn = dial(p.t, px.EventAddresses()[0])
	s.events = eventsv1.NewEventServiceClient(s.conn)
	eventually(p.t, "the sidecar is ready", s.ready)
	return s
}

func sized(id string, bytes int) *eventsv1.PublishRequest {
	return &eventsv1.PublishRequest{Topic: "orders", Event: &eventsv1.CloudEvent{
		Id: id, Source: "/flood", SpecVersion: "1.0", Type: "flood", Data: &eventsv1.CloudEvent_BinaryData{BinaryData: make([]byte, bytes)},
	}}
}

// peak samples the live heap until stop is called. stop returns the highest value minus
// the value at the start.
func peak() (stop func() uint64) {
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	quit, result := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				runtime.GC()
				runtime.ReadMemStats(&now)
				most = max(most, now.HeapAlloc)
			case <-quit:
				result <- most - min(most, before.HeapAlloc)
				return
			}
		}
	}()
	return func() uint64 { close(quit); return <-result }
}

// The broker confirms nothing for a while, and services send the sidecar some 75 MiB.
// The memory of the sidecar stays within its bounds.
func TestSizesAndAbuseMemoryStaysFlatUnderAFlood(t *testing.T) {
	if testing.Short() {
		t.Skip("floods for seconds")
	}
	p := startOn(t, membroker.Options{MaxQueueBytes: 8 << 20}) // the broker is in this process, too
	s := p.limited(func(o *proxy.Options) { o.MaxInFlight, o.MaxInFlightBytes = 1000, 2<<20 })
	if _, err := s.events.Publish(t.Context(), sized("first", 1)); err != nil {
		t.Fatal(err)
	}
	release := p.memory.HoldConfirms()
	stop := peak()
	const refusals = 2000
	var exhausted atomic.Int64
	var callers sync.WaitGroup
	began := time.Now()
	for range 128 { // 68 of them fill the bound
		callers.Go(func() {
			for exhausted.Load() < refusals && time.Since(began) < 30*time.Second {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				_, err := s.events.Publish(ctx, sized("flood", 30<<10))
				cancel()
				switch status.Code(err) {
				case codes.ResourceExhausted:
					exhausted.Add(1)
				case codes.OK, codes.DeadlineExceeded, codes.Unavailable:
				default:
					t.Errorf("flood answered %v", err)
				}
			}
		})
	}
	callers.Wait()
	most := stop()
	release()
	if n := exhausted.Load(); n < refusals {
		t.Errorf("%d calls were refused, want %d: the bound was hardly reached", n, refusals)
	}
	// The heap also contains the callers' own copies and the broker's queue.
	if limit := uint64(64 << 20); most > limit {
		t.Errorf("heap grew by %d MiB, want at most %d", most>>20, limit>>20)
	}
	t.Logf("heap grew by %d MiB; %d calls refused", most>>20, exhausted.Load())
	eventually(t, "the sidecar takes events again", func() error {
		_, err := s.events.Publish(t.Context(), sized("after", 1))
		return err
	})
}

func TestSizesAndAbuseStreamsAreBounded(t *testing.T) {
	t.Parallel()
	p := start(t)
	s := p.limited(func(o *proxy.Options) { o.MaxStreams = 2 })
	first := s.subscribe(t, "billing")
	s.subscribe(t, "billing")
	third, err := s.events.PublishStream(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := third.Recv(); status.Code(err) != codes.ResourceExhausted || rpcerr.Reason(err) != refusal.TooManyStreams {
		t.Errorf("a third stream: %v", err)
	}
	if err := first.CloseSend(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a stream that ended makes room", func() error {
		stream, err := s.events.PublishStream(t.Context())
		if err != nil {
			return err
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		if _, err := stream.Recv(); rpcerr.Reason(err) == refusal.TooManyStreams {
			return err
		}
		return nil
	})
}

func TestSizesAndAbuseOversizedCallsHurtNobody(t *testing.T) {
	t.Parallel()
	p := start(t)
	s := p.limited(func(o *proxy.Options) { o.MaxInFlight = 10 })
	for name, test := range map[string]struct {
		call   func(context.Context) error
		code   codes.Code
		reason string
	}{
		"an event over the topic's limit": {func(ctx context.Context) error {
			_, err := s.events.Publish(ctx, sized("big", 1<<20+1))
			return err
		}, codes.InvalidArgument, refusal.EventTooLarge},
		"a message of 64 MiB": {func(ctx context.Context) error {
			_, err := s.events.Publish(ctx, sized("huge", 64<<20))
			return err
		}, codes.ResourceExhausted, ""},
		"attributes over the header limit": {func(ctx context.Context) error {
			req := sized("wide", 1)
			req.Event.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{}
			for _, name := range strings.Split("abcdefgh", "") {
				req.Event.Attributes[name] = &eventsv1.CloudEvent_CloudEventAttributeValue{
					Attr: &eventsv1.CloudEvent_CloudEventAttributeValue_CeString{CeString: strings.Repeat("x", 25<<10)},
				}
			}
			_, err := s.events.Publish(ctx, req)
			return err
		}, codes.InvalidArgument, ""},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		err := test.call(ctx)
		cancel()
		if status.Code(err) != test.code || (test.reason != "" && rpcerr.Reason(err) != test.reason) {
			t.Errorf("%s: %v, want %v %s", name, err, test.code, test.reason)
		}
		if _, err := s.events.Publish(t.Context(), sized("next", 1)); err != nil {
			t.Errorf("the call after %s: %v", name, err)
		}
	}
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-big", strings.Repeat("x", 100<<10))
	if _, err := s.events.Publish(ctx, sized("metadata", 1)); err == nil {
		t.Error("100 KiB of metadata were accepted")
	}
	if _, err := s.events.Publish(t.Context(), sized("last", 1)); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the call after big metadata: %v", err)
	}
}
