package messaging_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/tracing/messaging"
	"github.com/warrenmesh/warren/tracing/tracecontext"
	"github.com/warrenmesh/warren/tracing/tracingtest"
)

const (
	creation = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	hop      = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// order is a publish with every field set but the creation context.
func order() messaging.Publish {
	return messaging.Publish{
		System: messaging.SystemRabbitMQ, Exchange: "orders", RoutingKey: "com.shop.order.placed", Topic: "shop/orders",
		EventID: "17", EventSource: "/checkout", EventType: "com.shop.order.placed", EventSubject: "order-17",
		BodySize: 42, ServerAddress: "127.0.0.1:5672",
	}
}

// delivery is what billing gets of order.
func delivery() messaging.Process {
	return messaging.Process{
		System: messaging.SystemRabbitMQ, Exchange: "orders", RoutingKey: "com.shop.order.placed", Queue: "shop.billing",
		Topic: "shop/orders", Subscription: "shop/billing", Hop: tracecontext.Hop{Parent: hop, State: "a=b", Baggage: "k=v"},
		EventID: "17", EventSource: "/checkout", EventType: "com.shop.order.placed", EventSubject: "order-17",
		DeliveryTag: 3, Attempt: 2, Redelivered: true, BodySize: 42, ServerAddress: "rabbit-0:5672",
	}
}

func remote(traceparent string) trace.SpanContext {
	ctx := tracecontext.Extract(context.Background(), map[string]string{"traceparent": traceparent})
	return trace.SpanContextFromContext(ctx)
}

func TestPublishSpan(t *testing.T) {
	t.Parallel()

	t.Run("of an event without creation context is a producer whose own context travels", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{Component: "sidecar"})
		ctx, server := p.Tracer().Start(context.Background(), "server")
		_, span := p.Messaging().StartPublish(ctx, order())
		span.End(nil)

		got := recorder.Only("publish shop/orders")
		if got.Kind != trace.SpanKindProducer || len(got.Links) != 0 || got.Failed {
			t.Errorf("span = %+v, want a successful producer without links", got)
		}
		if got.Parent.SpanID() != server.SpanContext().SpanID() {
			t.Errorf("parent = %v, want the gRPC server span", got.Parent.SpanID())
		}
		wantHop(t, span.Hop(), got.Context)
		wantAttrs(t, got.Attrs, map[string]any{
			"messaging.system": "rabbitmq", "messaging.operation.name": "publish", "messaging.operation.type": "send",
			"messaging.destination.name":                 "orders:com.shop.order.placed",
			"messaging.destination.template":             "shop/orders",
			"messaging.rabbitmq.destination.routing_key": "com.shop.order.placed",
			"messaging.message.id":                       "17",
			"messaging.message.body.size":                int64(42),
			"server.address":                             "127.0.0.1", "server.port": int64(5672),
			"network.peer.address": "127.0.0.1", "network.peer.port": int64(5672),
			"cloudevents.event_id": "17", "cloudevents.event_source": "/checkout", "cloudevents.event_spec_version": "1.0",
			"cloudevents.event_type": "com.shop.order.placed", "cloudevents.event_subject": "order-17",
			"peer.service": "rabbitmq", "service.peer.name": "rabbitmq", "warren.component": "sidecar",
		})
	})

	t.Run("of an event with creation context is a client linked to it, below the gRPC call", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{})
		ctx, server := p.Tracer().Start(context.Background(), "server")
		o := order()
		o.EventTraceParent = creation
		_, span := p.Messaging().StartPublish(ctx, o)
		span.End(nil)

		got := recorder.Only("publish shop/orders")
		if got.Kind != trace.SpanKindClient || got.Parent.SpanID() != server.SpanContext().SpanID() {
			t.Errorf("kind %v below %v, want a client below the server span", got.Kind, got.Parent.SpanID())
		}
		wantLinks(t, got, creation)
		wantHop(t, span.Hop(), got.Context)
	})

	t.Run("on a stream is the child of the event's creation context, not of the stream", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{})
		ctx, _ := p.Tracer().Start(context.Background(), "stream")
		o := order()
		o.EventTraceParent = creation
		_, span := p.Messaging().StartPublish(tracecontext.Extract(ctx, nil), o)
		span.End(nil)

		got := recorder.Only("publish shop/orders")
		if want := remote(creation); got.Parent.SpanID() != want.SpanID() || got.Context.TraceID() != want.TraceID() {
			t.Errorf("parent = %v, want %v", got.Parent.SpanID(), want.SpanID())
		}
	})

	t.Run("on a stream without any context is a root", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{})
		ctx, _ := p.Tracer().Start(context.Background(), "stream")
		_, span := p.Messaging().StartPublish(tracecontext.Extract(ctx, map[string]string{"traceparent": "junk"}), order())
		span.End(nil)
		if got := recorder.Only("publish shop/orders"); got.Parent.IsValid() || got.Kind != trace.SpanKindProducer {
			t.Errorf("span = %v below %v, want a producer at the root", got.Kind, got.Parent)
		}
	})

	t.Run("counts a creation context that is garbage as none", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{})
		o := order()
		o.EventTraceParent = strings.ToUpper(creation)
		_, span := p.Messaging().StartPublish(context.Background(), o)
		span.End(nil)
		if got := recorder.Only("publish shop/orders"); got.Kind != trace.SpanKindProducer || len(got.Links) != 0 {
			t.Errorf("span = %v with %d links, want a plain producer", got.Kind, len(got.Links))
		}
	})

	t.Run("tells retries as events and the last node as the server", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{})
		_, span := p.Messaging().StartPublish(context.Background(), order())
		span.Attempt(1, &broker.Error{Kind: broker.Nacked, Op: "publish"})
		span.SetServerAddress("rabbit-1:5673")
		span.End(nil)
		got := recorder.Only("publish shop/orders")
		want := []tracingtest.Event{{Name: "warren.attempt", Attrs: map[string]any{
			"warren.attempt": int64(1), "error.type": "nack",
		}}}
		if !reflect.DeepEqual(got.Events, want) {
			t.Errorf("events = %v, want %v", got.Events, want)
		}
		if got.Attrs["server.address"] != "rabbit-1" || got.Attrs["server.port"] != int64(5673) {
			t.Errorf("server = %v:%v, want rabbit-1:5673", got.Attrs["server.address"], got.Attrs["server.port"])
		}
		if _, failed := got.Attrs["error.type"]; failed || got.Failed {
			t.Error("a retry that went well failed the span")
		}
	})

	t.Run("to the embedded broker has no peer", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{})
		_, span := p.Messaging().StartPublish(context.Background(), messaging.Publish{
			System: messaging.SystemMemory, Exchange: "orders", Topic: "shop/orders",
		})
		span.End(nil)
		wantAttrs(t, recorder.Only("publish shop/orders").Attrs, map[string]any{
			"messaging.system": "warren.memory", "messaging.operation.name": "publish", "messaging.operation.type": "send",
			"messaging.destination.name": "orders", "messaging.destination.template": "shop/orders",
			"messaging.message.body.size": int64(0),
		})
	})
}

func TestProcessSpan(t *testing.T) {
	t.Parallel()

	t.Run("without creation context has the hop as parent and as link", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{Component: "sidecar"})
		stream, _ := p.Tracer().Start(context.Background(), "stream")
		ctx, span := p.Messaging().StartProcess(stream, delivery())
		if got := baggage.FromContext(ctx).String(); got != "k=v" {
			t.Errorf("baggage = %q, want k=v", got)
		}
		span.SetOutcome("ack")
		span.End(nil)

		got := recorder.Only("process shop/orders")
		if want := remote(hop); got.Kind != trace.SpanKindConsumer || got.Parent.SpanID() != want.SpanID() ||
			got.Context.TraceID() != want.TraceID() || got.Context.TraceState().String() != "a=b" {
			t.Errorf("%v below %v, want a consumer below the hop", got.Kind, got.Parent)
		}
		wantLinks(t, got, hop)
		wantAttrs(t, got.Attrs, map[string]any{
			"messaging.system": "rabbitmq", "messaging.operation.name": "process", "messaging.operation.type": "process",
			"messaging.destination.name":                 "orders:com.shop.order.placed:shop.billing",
			"messaging.destination.template":             "shop/orders",
			"messaging.destination.subscription.name":    "shop/billing",
			"messaging.rabbitmq.destination.routing_key": "com.shop.order.placed",
			"messaging.rabbitmq.message.delivery_tag":    int64(3),
			"messaging.message.id":                       "17",
			"messaging.message.body.size":                int64(42),
			"server.address":                             "rabbit-0", "server.port": int64(5672),
			"cloudevents.event_id": "17", "cloudevents.event_source": "/checkout", "cloudevents.event_spec_version": "1.0",
			"cloudevents.event_type": "com.shop.order.placed", "cloudevents.event_subject": "order-17",
			"warren.component": "sidecar", "warren.attempt": int64(2), "warren.redelivered": true, "warren.outcome": "ack",
		})
	})

	t.Run("prefers the event's creation context and links the hop beside it", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{})
		d := delivery()
		d.EventTraceParent = creation
		_, span := p.Messaging().StartProcess(context.Background(), d)
		span.End(nil)
		got := recorder.Only("process shop/orders")
		if got.Parent.SpanID() != remote(creation).SpanID() {
			t.Errorf("parent = %v, want the creation context", got.Parent.SpanID())
		}
		wantLinks(t, got, creation, hop)
	})

	t.Run("links once when the hop is the creation context", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{})
		d := delivery()
		d.EventTraceParent = hop
		_, span := p.Messaging().StartProcess(context.Background(), d)
		span.End(nil)
		wantLinks(t, recorder.Only("process shop/orders"), hop)
	})

	t.Run("falls back to the hop when the event's context is garbage", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{})
		d := delivery()
		d.EventTraceParent = "00-00000000000000000000000000000000-b7ad6b7169203331-01"
		_, span := p.Messaging().StartProcess(context.Background(), d)
		span.End(nil)
		wantLinks(t, recorder.Only("process shop/orders"), hop)
	})

	t.Run("with link-only relation starts a trace of its own", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{ConsumerParent: messaging.Link})
		_, span := p.Messaging().StartProcess(context.Background(), delivery())
		span.End(nil)
		got := recorder.Only("process shop/orders")
		if got.Parent.IsValid() || got.Context.TraceID() == remote(hop).TraceID() {
			t.Errorf("parent = %v, want none", got.Parent)
		}
		wantLinks(t, got, hop)
	})

	t.Run("of a plain AMQP message is a root without links, not a child of the stream", func(t *testing.T) {
		t.Parallel()
		p, recorder := tracingtest.New(t, tracing.Options{})
		stream, _ := p.Tracer().Start(context.Background(), "stream")
		d := delivery()
		d.Hop = tracecontext.Hop{}
		_, span := p.Messaging().StartProcess(stream, d)
		span.End(nil)
		if got := recorder.Only("process shop/orders"); got.Parent.IsValid() || len(got.Links) != 0 {
			t.Errorf("parent %v, links %v, want a bare root", got.Parent, got.Links)
		}
	})
}

func TestSettleSpanIsClientBelowProcess(t *testing.T) {
	t.Parallel()
	p, recorder := tracingtest.New(t, tracing.Options{Component: "sidecar"})
	d := delivery()
	d.RoutingKey, d.Exchange, d.ServerAddress = d.Queue, "", "127.0.0.1:5672"
	ctx, process := p.Messaging().StartProcess(context.Background(), d)
	_, settle := p.Messaging().StartSettle(ctx, messaging.Ack, d)
	settle.End(broker.ErrStale)
	process.End(nil)

	got := recorder.Only("ack shop/orders")
	if got.Kind != trace.SpanKindClient || got.Parent.SpanID() != recorder.Only("process shop/orders").Context.SpanID() {
		t.Errorf("%v below %v, want a client below the process span", got.Kind, got.Parent.SpanID())
	}
	if !got.Failed || len(got.Links) != 0 {
		t.Errorf("failed %v, links %v, want a failed span without links", got.Failed, got.Links)
	}
	wantAttrs(t, got.Attrs, map[string]any{
		"messaging.system": "rabbitmq", "messaging.operation.name": "ack", "messaging.operation.type": "settle",
		"messaging.destination.name":              "shop.billing",
		"messaging.destination.template":          "shop/orders",
		"messaging.destination.subscription.name": "shop/billing",
		"messaging.rabbitmq.message.delivery_tag": int64(3),
		"messaging.message.id":                    "17",
		"server.address":                          "127.0.0.1", "server.port": int64(5672),
		"network.peer.address": "127.0.0.1", "network.peer.port": int64(5672),
		"peer.service": "rabbitmq", "service.peer.name": "rabbitmq",
		"warren.component": "sidecar", "warren.attempt": int64(2), "warren.redelivered": true,
		"error.type": "_OTHER",
	})
}

func TestErrorTypeOfSpans(t *testing.T) {
	t.Parallel()
	wrapped := fmt.Errorf("publish: %w", &broker.Error{Kind: broker.Unroutable, Op: "publish"})
	for name, tc := range map[string]struct {
		err     error
		process string
		publish string
	}{
		"a classified broker error says its kind":       {wrapped, "no-route", "no-route"},
		"a deadline is a timeout":                       {context.DeadlineExceeded, "timeout", "timeout"},
		"a gRPC deadline is a timeout":                  {status.Error(codes.DeadlineExceeded, ""), "timeout", "timeout"},
		"any other error is the handler's, or unknown":  {errors.New("no stock"), "handler-error", "_OTHER"},
		"a gRPC error of the handler is the handler's":  {status.Error(codes.Internal, "x"), "handler-error", "_OTHER"},
		"a text of broken UTF-8 and any length is kept": {errors.New(strings.Repeat("\xff-", 900)), "handler-error", "_OTHER"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, recorder := tracingtest.New(t, tracing.Options{})
			_, span := p.Messaging().StartProcess(context.Background(), delivery())
			span.End(tc.err)
			_, span = p.Messaging().StartPublish(context.Background(), order())
			span.End(tc.err)
			for spanName, want := range map[string]string{"process shop/orders": tc.process, "publish shop/orders": tc.publish} {
				got := recorder.Only(spanName)
				if got.Attrs["error.type"] != want || !got.Failed || len(got.Status) > 256 {
					t.Errorf("%s: error.type %v, failed %v, status %q; want %v", spanName, got.Attrs["error.type"], got.Failed, got.Status, want)
				}
			}
		})
	}
}

func TestSpanNameLeavesOutWhatHasNoTopic(t *testing.T) {
	t.Parallel()
	p, recorder := tracingtest.New(t, tracing.Options{})
	_, span := p.Messaging().StartPublish(context.Background(), messaging.Publish{System: messaging.SystemRabbitMQ})
	span.End(nil)
	if got := recorder.Only("publish").Attrs["messaging.destination.name"]; got != "amq.default" {
		t.Errorf("destination = %v, want amq.default", got)
	}
}

func TestDisabledPassesContextOn(t *testing.T) {
	t.Parallel()
	m := tracing.Disabled().Messaging()

	t.Run("from the call into the message", func(t *testing.T) {
		t.Parallel()
		ctx := tracecontext.Extract(context.Background(), map[string]string{"traceparent": hop, "tracestate": "a=b", "baggage": "k=v"})
		_, span := m.StartPublish(ctx, order())
		defer span.End(nil)
		if want := (tracecontext.Hop{Parent: hop, State: "a=b", Baggage: "k=v"}); span.Hop() != want {
			t.Errorf("hop = %+v, want %+v", span.Hop(), want)
		}
	})

	t.Run("from the message to the handler", func(t *testing.T) {
		t.Parallel()
		ctx, span := m.StartProcess(context.Background(), delivery())
		defer span.End(nil)
		want := map[string]string{"traceparent": hop, "tracestate": "a=b", "baggage": "k=v"}
		if got := tracecontext.Inject(ctx); !maps.Equal(got, want) {
			t.Errorf("entry = %v, want %v", got, want)
		}
	})

	t.Run("and adds nothing where nothing came in", func(t *testing.T) {
		t.Parallel()
		_, span := m.StartPublish(context.Background(), order())
		span.Attempt(1, nil)
		span.SetServerAddress("a:1")
		span.SetOutcome("ack")
		span.End(errors.New("x"))
		if span.Hop() != (tracecontext.Hop{}) || span.Recording() || tracecontext.Inject(context.Background()) != nil {
			t.Errorf("hop = %+v, want none", span.Hop())
		}
	})
}

func FuzzGarbageInHeadersNeverBreaksAnEvent(f *testing.F) {
	f.Add(hop, "a=b", "k=v", creation)
	f.Add("", "", "", "")
	f.Add("00-\xff\x00-b7ad6b7169203331-01", "\x00=,,,", ";;=\xff", "ff-"+creation[3:])
	f.Add(hop+"-extra", "a=b,a=b", "k=%zz", hop[:54])
	f.Fuzz(func(t *testing.T, parent, state, baggage, own string) {
		p, recorder := tracingtest.New(t, tracing.Options{})
		d := delivery()
		d.Hop = tracecontext.Hop{Parent: parent, State: state, Baggage: baggage}
		d.EventTraceParent, d.EventTraceState = own, state
		ctx, span := p.Messaging().StartProcess(context.Background(), d)
		span.End(nil)
		got := recorder.Only("process shop/orders")
		valid := remote(parent).IsValid() || remote(own).IsValid()
		if got.Parent.IsValid() != valid {
			t.Errorf("parent %v of hop %q and event %q", got.Parent, parent, own)
		}
		// What goes on is always readable, whatever came in.
		entry := tracecontext.Inject(ctx)
		if next := remote(entry["traceparent"]); next.SpanID() != got.Context.SpanID() {
			t.Errorf("entry = %v, want the process span %v", entry, got.Context)
		}
		disabled, _ := tracing.Disabled().Messaging().StartProcess(context.Background(), d)
		if trace.SpanContextFromContext(disabled).IsValid() != valid {
			t.Errorf("disabled tracing passed on %v of hop %q and event %q", trace.SpanContextFromContext(disabled), parent, own)
		}
	})
}

func wantAttrs(t *testing.T, got, want map[string]any) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("attribute %s = %v, want %v", key, got[key], value)
		}
	}
	for key, value := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("attribute %s = %v is not wanted", key, value)
		}
	}
}

func wantLinks(t *testing.T, span tracingtest.Span, traceparents ...string) {
	t.Helper()
	if len(span.Links) != len(traceparents) {
		t.Fatalf("links = %v, want %v", span.Links, traceparents)
	}
	for i, traceparent := range traceparents {
		want, got := remote(traceparent), span.Links[i]
		if got.Context.SpanID() != want.SpanID() || got.Context.TraceID() != want.TraceID() {
			t.Errorf("link %d = %v, want %v", i, got.Context, want)
		}
		isParent := want.SpanID() == span.Parent.SpanID()
		if marked := got.Attrs["opentracing.ref_type"] == "child_of"; marked != isParent {
			t.Errorf("link %d is marked as the parent: %v, want %v", i, marked, isParent)
		}
	}
}

func wantHop(t *testing.T, h tracecontext.Hop, own trace.SpanContext) {
	t.Helper()
	if got := remote(h.Parent); got.SpanID() != own.SpanID() || got.TraceID() != own.TraceID() || !got.IsSampled() {
		t.Errorf("hop = %q, want the span's own context %v", h.Parent, own)
	}
}
