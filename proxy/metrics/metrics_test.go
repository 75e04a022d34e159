package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/tracing/messaging"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	orders  = mesh.Name{Namespace: "shop", Name: "orders"}
	billing = mesh.Name{Namespace: "shop", Name: "billing"}
)

// rig reads what was measured.
type rig struct {
	*metrics.Events
	t        testing.TB
	reader   *sdkmetric.ManualReader
	provider *sdkmetric.MeterProvider
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, reader: sdkmetric.NewManualReader()}
	r.provider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(r.reader))
	t.Cleanup(func() { _ = r.provider.Shutdown(context.Background()) })
	var err error
	if r.Events, err = metrics.New(r.provider, false); err != nil {
		t.Fatal(err)
	}
	return r
}

// series returns every series as "name unit{attributes} count", sorted. Durations
// show how many there are.
func (r *rig) series() []string {
	r.t.Helper()
	var data metricdata.ResourceMetrics
	if err := r.reader.Collect(r.t.Context(), &data); err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range d.DataPoints {
					out = append(out, fmt.Sprintf("%s %s{%s} %d", m.Name, m.Unit, text(p.Attributes), p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range d.DataPoints {
					out = append(out, fmt.Sprintf("%s %s{%s} %.0f", m.Name, m.Unit, text(p.Attributes), p.Value))
				}
			case metricdata.Histogram[float64]:
				for _, p := range d.DataPoints {
					if !slices.Equal(p.Bounds, metrics.Buckets()) {
						r.t.Errorf("%s has the bounds %v", m.Name, p.Bounds)
					}
					out = append(out, fmt.Sprintf("%s %s{%s} %d", m.Name, m.Unit, text(p.Attributes), p.Count))
				}
			default:
				r.t.Errorf("%s is a %T", m.Name, d)
			}
		}
	}
	slices.Sort(out)
	return out
}

func text(set attribute.Set) string {
	var parts []string
	for _, kv := range set.ToSlice() {
		parts = append(parts, string(kv.Key)+"="+kv.Value.String())
	}
	return strings.Join(parts, " ")
}

func (r *rig) want(series ...string) {
	r.t.Helper()
	slices.Sort(series)
	got := slices.DeleteFunc(r.series(), func(s string) bool {
		return strings.HasPrefix(s, "warren.path.messages") && strings.HasSuffix(s, " 0") // always there
	})
	for _, s := range got {
		if !slices.Contains(series, s) {
			r.t.Errorf("unexpected: %s", s)
		}
	}
	for _, s := range series {
		if !slices.Contains(got, s) {
			r.t.Errorf("missing:    %s", s)
		}
	}
}

func TestAPublishIsMeasured(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	lost := &broker.Error{Kind: broker.Closed, Outcome: broker.Unknown, Op: "publish"}

	s := r.Send(orders, messaging.SystemRabbitMQ)
	s.To("127.0.0.1:5672")
	s.Written()
	waiting := r.Send(orders, messaging.SystemRabbitMQ)
	r.want(
		"warren.publish.pending {message}{messaging.destination.template=shop/orders messaging.system=rabbitmq} 1",
		"warren.publish.unconfirmed {message}{messaging.destination.template=shop/orders messaging.system=rabbitmq} 1",
		"warren.publish.retries.postponed {retry}{messaging.destination.template=shop/orders messaging.system=rabbitmq} 0")

	s.Answered(lost)
	s.Postponed()
	s.Retry(lost)
	s.To("127.0.0.1:5673")
	s.Written()
	s.Answered(nil)
	s.End(t.Context(), nil)
	waiting.Written()
	waiting.Answered(&broker.Error{Kind: broker.WindowFull, Op: "publish"}) // not sent
	waiting.End(t.Context(), &broker.Error{Kind: broker.Unavailable, Op: "pick"})

	const on = " messaging.operation.name=publish"
	r.want(
		"warren.publish.pending {message}{messaging.destination.template=shop/orders messaging.system=rabbitmq} 0",
		"warren.publish.unconfirmed {message}{messaging.destination.template=shop/orders messaging.system=rabbitmq} 0",
		"warren.publish.retries.postponed {retry}{messaging.destination.template=shop/orders messaging.system=rabbitmq} 1",
		"warren.publish.retries {retry}{error.type=connection-lost messaging.destination.template=shop/orders messaging.system=rabbitmq} 1",
		"messaging.client.sent.messages {message}{error.type=connection-lost messaging.destination.template=shop/orders"+on+" messaging.system=rabbitmq server.address=127.0.0.1 server.port=5672} 1",
		"messaging.client.sent.messages {message}{messaging.destination.template=shop/orders"+on+" messaging.system=rabbitmq server.address=127.0.0.1 server.port=5673} 1",
		"messaging.client.operation.duration s{messaging.destination.template=shop/orders"+on+" messaging.operation.type=send messaging.system=rabbitmq server.address=127.0.0.1 server.port=5673} 1",
		"messaging.client.operation.duration s{error.type=unavailable messaging.destination.template=shop/orders"+on+" messaging.operation.type=send messaging.system=rabbitmq} 1")
}

func TestADeliveryIsMeasured(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := metrics.Delivery{Subscription: billing, Topic: orders, System: messaging.SystemMemory}
	deliver := func(attempt uint32, redelivered bool) metrics.Processing {
		d := d
		d.Attempt, d.Redelivered = attempt, redelivered
		return r.Process(d, time.Now())
	}
	first, again, cut := deliver(1, false), deliver(2, true), deliver(1, true)
	const (
		sub = "messaging.destination.subscription.name=shop/billing messaging.destination.template=shop/orders"
		mem = " messaging.system=warren.memory"
	)
	before := []string{
		"messaging.client.consumed.messages {message}{" + sub + " messaging.operation.name=process" + mem + "} 3",
		"warren.delivery.redeliveries {message}{" + sub + mem + " warren.redelivery.cause=retry} 1",
		"warren.delivery.redeliveries {message}{" + sub + mem + " warren.redelivery.cause=broker} 1",
	}
	taken := func(reason string, n int) string {
		return fmt.Sprintf("warren.delivery.taken_by_policy {message}{%s%s warren.dead_letter.reason=%s} %d", sub, mem, reason, n)
	}
	r.want(append(before,
		taken("expired", 0), taken("max-length", 0), taken("delivery-limit", 0),
		"warren.delivery.deduplicated {message}{"+sub+mem+"} 0",
		"warren.delivery.outstanding {message}{"+sub+mem+"} 3")...)

	r.Settle(t.Context(), messaging.Ack, d, time.Millisecond, nil)
	first.End(t.Context(), time.Now(), nil)
	again.End(t.Context(), time.Now(), errors.New("no"))
	r.Settle(t.Context(), messaging.Reject, d, time.Millisecond, broker.ErrStale)
	cut.End(t.Context(), time.Now(), context.DeadlineExceeded)
	r.DeadLetter(d, "rejected")
	r.Deduplicated(d)
	r.TakenByPolicy(d, broker.ReasonMaxLength)
	r.want(append(before,
		taken("expired", 0), taken("max-length", 1), taken("delivery-limit", 0),
		"warren.delivery.deduplicated {message}{"+sub+mem+"} 1",
		"warren.delivery.outstanding {message}{"+sub+mem+"} 0",
		"warren.delivery.dead_letters {message}{"+sub+mem+" warren.dead_letter.reason=rejected} 1",
		"messaging.client.operation.duration s{"+sub+" messaging.operation.name=ack messaging.operation.type=settle"+mem+"} 1",
		"messaging.client.operation.duration s{error.type=_OTHER "+sub+" messaging.operation.name=reject messaging.operation.type=settle"+mem+"} 1",
		"messaging.process.duration s{"+sub+" messaging.operation.name=process"+mem+"} 1",
		"messaging.process.duration s{error.type=handler-error "+sub+" messaging.operation.name=process"+mem+"} 1",
		"messaging.process.duration s{error.type=timeout "+sub+" messaging.operation.name=process"+mem+"} 1")...)
}

func TestEventsAreCountedByTheirPath(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	way := func(direction, step, kind string, n int) string {
		return fmt.Sprintf("warren.path.messages {message}{warren.path.direction=%s warren.path.kind=%s warren.path.step=%s} %d", direction, kind, step, n)
	}
	var none []string
	for _, at := range [][2]string{{"publish", "decode"}, {"publish", "try"}, {"delivery", "encode"}, {"delivery", "decode"}, {"delivery", "settle"}} {
		none = append(none, way(at[0], at[1], "fast", 0), way(at[0], at[1], "slow", 0))
	}
	slices.Sort(none)
	if got := r.series(); !slices.Equal(got, none) {
		t.Errorf("before the first event: %q", got)
	}
	r.Fast(metrics.PublishDecode, 64)
	r.Slow(metrics.PublishDecode, 1)
	r.Fast(metrics.PublishTry, 64)
	r.Fast(metrics.PublishTry, 0)
	r.Slow(metrics.PublishTry, 2)
	r.Slow(metrics.DeliveryEncode, 3)
	r.Fast(metrics.DeliveryDecode, 4)
	r.Fast(metrics.DeliverySettle, 5)
	r.want(
		way("publish", "decode", "fast", 64), way("publish", "decode", "slow", 1),
		way("publish", "try", "fast", 64), way("publish", "try", "slow", 2),
		way("delivery", "encode", "slow", 3), way("delivery", "decode", "fast", 4), way("delivery", "settle", "fast", 5))
}

func TestWithoutAProviderNothingIsMeasured(t *testing.T) {
	t.Parallel()
	e, err := metrics.New(metricnoop.NewMeterProvider(), false)
	if err != nil || e != nil {
		t.Fatalf("events %v, error %v; want none", e, err)
	}
	publishOne(t.Context(), e)
	deliverOne(t.Context(), e)
	e.DeadLetter(metrics.Delivery{Subscription: billing}, "rejected")
	e.Fast(metrics.PublishTry, 1)
	e.Slow(metrics.DeliverySettle, 1)
}

func TestManyEventsAtOnceAreAllCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 250 {
				publishOne(t.Context(), r.Events)
				deliverOne(t.Context(), r.Events)
			}
		})
	}
	wg.Wait()
	got := map[string]bool{}
	for _, s := range r.series() {
		name, _, _ := strings.Cut(s, " ")
		got[name+s[strings.LastIndexByte(s, ' '):]] = true
	}
	for _, want := range []string{
		"messaging.client.sent.messages 2000", "messaging.client.operation.duration 2000", "messaging.client.consumed.messages 2000",
		"messaging.process.duration 2000", "warren.publish.pending 0", "warren.publish.unconfirmed 0", "warren.delivery.outstanding 0",
	} {
		if !got[want] {
			t.Errorf("no %q in %v", want, slices.Sorted(maps.Keys(got)))
		}
	}
}

func publishOne(ctx context.Context, e *metrics.Events) {
	s := e.Send(orders, messaging.SystemRabbitMQ)
	s.To("127.0.0.1:5672")
	s.Written()
	s.Answered(nil)
	s.End(ctx, nil)
}

func deliverOne(ctx context.Context, e *metrics.Events) {
	d := metrics.Delivery{Subscription: billing, Topic: orders, System: messaging.SystemRabbitMQ, Address: "127.0.0.1:5672", Attempt: 1}
	p := e.Process(d, time.Now())
	e.Settle(ctx, messaging.Ack, d, time.Millisecond, nil)
	p.End(ctx, time.Now(), nil)
}

// Budget: an event allocates nothing for being measured.
func TestMeasuringAllocatesNothing(t *testing.T) {
	// No t.Parallel: AllocsPerRun counts what all goroutines allocate.
	r := newRig(t)
	ctx := context.Background()
	for name, one := range map[string]func(){
		"a publish":  func() { publishOne(ctx, r.Events) },
		"a delivery": func() { deliverOne(ctx, r.Events) },
	} {
		if got := testing.AllocsPerRun(1000, one); got != 0 {
			t.Errorf("%v allocations for %s, want none", got, name)
		}
	}
}

// Budget: 0.5 µs for a publish, 1 µs for a delivery, nearly all of it in the SDK,
// which looks at every attribute of every duration; no allocations.
func BenchmarkEvent(b *testing.B) {
	r := newRig(b)
	ctx := context.Background()
	for name, one := range map[string]func(context.Context, *metrics.Events){"publish": publishOne, "deliver": deliverOne} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				one(ctx, r.Events)
			}
		})
		b.Run(name+" off", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				one(ctx, nil)
			}
		})
	}
}

func TestTotalsAreCountedForReports(t *testing.T) {
	t.Parallel()
	// Without a provider too: reports do not depend on metrics being read.
	e, err := metrics.New(metricnoop.NewMeterProvider(), true)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	send := func(err error) {
		s := e.Send(orders, messaging.SystemRabbitMQ)
		s.To("127.0.0.1:5672")
		s.Written()
		s.Answered(err)
		if err != nil {
			s.Retry(err)
		}
		s.End(ctx, err)
	}
	send(nil)
	send(nil)
	send(errors.New("no"))
	unsent := e.Send(orders, messaging.SystemRabbitMQ) // no node was found
	unsent.End(ctx, errors.New("no node"))
	d := metrics.Delivery{Subscription: billing, Topic: orders, System: messaging.SystemRabbitMQ, Attempt: 1, Publisher: "checkout"}
	p := e.Process(d, time.Now())
	p.End(ctx, time.Now(), nil)
	d.Attempt = 2
	p = e.Process(d, time.Now())
	p.End(ctx, time.Now(), errors.New("no"))
	e.DeadLetter(d, "rejected")
	e.TakenByPolicy(metrics.Delivery{Subscription: billing, Topic: orders, System: messaging.SystemRabbitMQ}, "expired")
	got := e.Totals()
	if want := []metrics.Published{{Topic: orders, Confirmed: 2, Failed: 2, Retried: 1}}; !slices.Equal(got.Published, want) {
		t.Errorf("published %+v, want %+v", got.Published, want)
	}
	want := []metrics.Delivered{
		{Subscription: billing, Topic: orders, TakenByPolicy: 1},
		{Subscription: billing, Topic: orders, Publisher: "checkout", Delivered: 2, Failed: 1, Retried: 1, DeadLettered: 1},
	}
	if !slices.Equal(got.Delivered, want) {
		t.Errorf("delivered %+v, want %+v", got.Delivered, want)
	}
}

func TestPublishersThatAreMadeUpShareOneCount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 1000 {
		d := metrics.Delivery{Subscription: billing, Topic: orders, System: messaging.SystemMemory, Publisher: fmt.Sprint("p", i)}
		r.Process(d, time.Now()).End(t.Context(), time.Now(), nil)
	}
	for _, publisher := range []string{strings.Repeat("x", 1000), "\x1b[31m", ""} {
		r.Process(metrics.Delivery{Subscription: billing, Topic: orders, System: messaging.SystemMemory, Publisher: publisher}, time.Now()).End(t.Context(), time.Now(), nil)
	}
	got := r.Totals().Delivered
	sum := uint64(0)
	for _, d := range got {
		sum += d.Delivered
	}
	if len(got) != 65 || sum != 1003 || got[0].Publisher != "" || got[0].Delivered != 939 {
		t.Errorf("%d publishers with %d deliveries, %d of them without a name", len(got), sum, got[0].Delivered)
	}
}
