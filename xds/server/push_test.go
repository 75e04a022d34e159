package server_test

import (
	"testing"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"

	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/configuration"
	"github.com/warrenmesh/warren/tracing/tracecontext"
	"github.com/warrenmesh/warren/tracing/tracingtest"
	"github.com/warrenmesh/warren/xds"
	"github.com/warrenmesh/warren/xds/server"
)

// watched is a server that records spans, and a client that has topic orders.
func watched(t *testing.T, now func() time.Time) (*server.Server, *client, *configuration.Tracer, *tracingtest.Recorder) {
	t.Helper()
	provider, spans := tracingtest.New(t, tracing.Options{})
	s := server.New(server.Options{Tracing: provider.Configuration(), Now: now})
	s.Update(server.View{Resources: topic(t, "orders", 1), Cause: hop(t, provider.Configuration()), Version: "v1"})
	c := newClient(t, start(t, s), node("billing.shop~1"))
	c.open()
	c.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: []string{"topic/shop/orders"}})
	if r := c.next().GetResources(); len(r) != 1 || r[0].GetMetadata() != nil {
		t.Fatalf("the first response, which no change made due: %v", r)
	}
	c.answer("")
	return s, c, provider.Configuration(), spans
}

// hop is the context of a change.
func hop(t *testing.T, c *configuration.Tracer) tracecontext.Hop {
	t.Helper()
	_, span := c.StartChange(t.Context(), configuration.Change{})
	defer span.End(nil)
	return span.Hop()
}

// pushes waits for n ended push spans.
func pushes(t *testing.T, spans *tracingtest.Recorder, n int) []tracingtest.Span {
	t.Helper()
	deadline, tick := time.After(patience), time.NewTicker(2*time.Millisecond)
	defer tick.Stop()
	for {
		var out []tracingtest.Span
		for _, s := range spans.Spans() {
			if s.Name == configuration.SpanPush {
				out = append(out, s)
			}
		}
		if len(out) == n {
			return out
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%d push spans, want %d", len(out), n)
		}
	}
}

func TestAPushIsASpanUntilItsAnswer(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer func(*client)
		failed bool
		status string
		kind   any
	}{
		"an ACK ends it":             {func(c *client) { c.answer("") }, false, "", nil},
		"a NACK fails it":            {func(c *client) { c.answer("topic/shop/orders: too heavy") }, true, "topic/shop/orders: too heavy", "config-rejected"},
		"the end of the stream, too": {func(c *client) { c.cancel() }, true, "the stream ended before the answer", "_OTHER"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, c, tracer, spans := watched(t, nil)
			cause := hop(t, tracer)
			s.Update(server.View{Resources: topic(t, "orders", 2), Cause: cause, Version: "v2"})
			resp := c.next()
			parent, _ := xds.ParseTraceMetadata(resp.GetResources()[0].GetMetadata())
			tt.answer(c)
			got := pushes(t, spans, 1)[0]
			if got.Failed != tt.failed || got.Status != tt.status || got.Attrs["error.type"] != tt.kind {
				t.Errorf("ended %t %q %v", got.Failed, got.Status, got.Attrs["error.type"])
			}
			if parent != "00-"+got.Context.TraceID().String()+"-"+got.Context.SpanID().String()+"-01" {
				t.Errorf("the resource carries %q, the span is %s", parent, got.Context.SpanID())
			}
			if cause.Parent[:35] != parent[:35] || cause.Parent[36:52] != got.Parent.SpanID().String() {
				t.Errorf("pushed below %s, the change is %s", got.Parent.SpanID(), cause.Parent)
			}
			if got.Attrs["warren.mesh.version"] != "v2" || got.Attrs["warren.sidecar"] != "billing.shop~1" {
				t.Errorf("attributes %v", got.Attrs)
			}
		})
	}
}

func TestADeletionIsTracedToo(t *testing.T) {
	t.Parallel()
	s, c, tracer, spans := watched(t, nil)
	s.Update(server.View{Cause: hop(t, tracer), Version: "v2"})
	if resp := c.next(); len(resp.GetRemovedResources()) != 1 {
		t.Fatalf("got %v", resp)
	}
	c.answer("")
	if got := pushes(t, spans, 1)[0]; got.Failed || got.Attrs["warren.resource.count"] != int64(1) {
		t.Errorf("got %+v", got)
	}
}

func TestWhatComesLongAfterAChangeIsNoPartOfIt(t *testing.T) {
	t.Parallel()
	clock := make(chan time.Time, 1)
	clock <- time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	now := func() time.Time { at := <-clock; clock <- at; return at }
	s, early, tracer, spans := watched(t, now)
	s.Update(server.View{Resources: topic(t, "orders", 2), Cause: hop(t, tracer), Version: "v2"})
	early.next()
	early.answer("")
	pushes(t, spans, 1)

	at := <-clock
	clock <- at.Add(time.Hour)
	late := newClient(t, early.stub, node("audit.shop~1"))
	late.open()
	late.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: xds.TypeRoute, ResourceNamesSubscribe: []string{"topic/shop/orders"}})
	if r := late.next().GetResources(); r[0].GetMetadata() != nil {
		t.Errorf("an hour later the resource carries %v", r[0].GetMetadata())
	}
	late.answer("")
	late.fence()
	pushes(t, spans, 1)
}
