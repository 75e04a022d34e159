// Package metrics measures events: how many are published, delivered, settled,
// retried and dead-lettered, and how long that takes.
//
// It owns the instruments and the attribute sets of events; names, units, buckets
// and attributes of messaging.* follow OpenTelemetry's conventions for RabbitMQ,
// our own begin with warren. (docs/metrics.md lists all). It owns how a sidecar's
// State is shown, not where it comes from, and not the meter provider.
//
// The configuration bounds the cardinality: attributes name topics, subscriptions,
// broker nodes, outcomes and kinds of error; never an event's id, type, subject or
// key. Each set is built once and kept, so an event builds none and takes no lock.
// Counters are atomic integers that a scrape reads: a count through the SDK costs
// 250 ns, and has no exemplar that a duration lacks.
//
// Everything is safe for concurrent use, but a Sending and a Processing belong to
// the event they measure. A nil *Events measures nothing.
//
//	events, err := metrics.New(meterProvider, false)
//	sending := events.Send(topic, messaging.SystemRabbitMQ)
//	sending.To(driver.State().Address)
//	sending.Written()
//	sending.Answered(err)
//	sending.End(ctx, err)
//	totals := events.Totals() // for reports to the control plane
package metrics

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/warrenmesh/warren/internal/grow"
	"github.com/warrenmesh/warren/tracing/conventions"
)

// Buckets returns the bounds of every duration, in seconds. They are those of the
// messaging conventions: the SDK's own default is made for milliseconds.
func Buckets() []float64 {
	return []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
}

// Keys of our own attributes.
const (
	keyReason = attribute.Key("warren.dead_letter.reason")
	keyCause  = attribute.Key("warren.redelivery.cause")
)

// Events are the instruments of a sidecar's events.
type Events struct {
	// Set at construction.
	operation  metric.Float64Histogram
	processing metric.Float64Histogram

	paths         *paths
	topics        grow.Map[topicKey, *topic]
	subscriptions grow.Map[subscriptionKey, *subscription]
}

// New makes the instruments. It returns nil, which measures nothing, when the provider
// measures nothing and nobody reads Totals either.
func New(provider metric.MeterProvider, totals bool) (*Events, error) {
	b := builder{meter: provider.Meter(conventions.ScopeName)}
	e := &Events{
		paths:      newPaths(),
		operation:  b.seconds("messaging.client.operation.duration", "Duration of a publish, confirm and retries included, or of a settlement."),
		processing: b.seconds("messaging.process.duration", "Time from handing an event to the service to its outcome."),
	}
	b.observe(e)
	if err := errors.Join(b.errs...); err != nil {
		return nil, err
	}
	if !totals && !e.operation.Enabled(context.Background()) {
		return nil, nil //nolint:nilnil // a nil *Events measures nothing, as documented
	}
	return e, nil
}

// builder collects the errors of all instruments.
type builder struct {
	meter metric.Meter
	errs  []error
}

func (b *builder) seconds(name, description string) metric.Float64Histogram {
	h, err := b.meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
		metric.WithExplicitBucketBoundaries(Buckets()...))
	b.errs = append(b.errs, err)
	return h
}

func (b *builder) counter(name, unit, description string) metric.Int64ObservableCounter {
	c, err := b.meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	b.errs = append(b.errs, err)
	return c
}

// level is a number of things that exist at the moment.
func (b *builder) level(name, unit, description string) metric.Int64ObservableUpDownCounter {
	l, err := b.meter.Int64ObservableUpDownCounter(name, metric.WithUnit(unit), metric.WithDescription(description))
	b.errs = append(b.errs, err)
	return l
}

// gauge is a value that must not be summed over sidecars.
func (b *builder) gauge(name, unit, description string) metric.Float64ObservableGauge {
	g, err := b.meter.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description))
	b.errs = append(b.errs, err)
	return g
}

// observe makes the instruments that are read at each scrape.
func (b *builder) observe(e *Events) {
	var (
		sent         = b.counter("messaging.client.sent.messages", "{message}", "Attempts to publish an event that were written to the broker's connection.")
		retries      = b.counter("warren.publish.retries", "{retry}", "Further attempts to publish an event.")
		postponed    = b.counter("warren.publish.retries.postponed", "{retry}", "Further attempts put off because too many were under way.")
		pending      = b.level("warren.publish.pending", "{message}", "Events accepted from the service that wait to be written, or written again.")
		unconfirmed  = b.level("warren.publish.unconfirmed", "{message}", "Events written to the broker whose confirm has not come.")
		consumed     = b.counter("messaging.client.consumed.messages", "{message}", "Deliveries handed to the service.")
		redeliveries = b.counter("warren.delivery.redeliveries", "{message}", "Deliveries of events that had been delivered before.")
		deadLetters  = b.counter("warren.delivery.dead_letters", "{message}", "Events put into a dead-letter queue.")
		taken        = b.counter("warren.delivery.taken_by_policy", "{message}", "Events a policy of the broker took out of a subscription's queue, into its dead-letter queue.")
		deduplicated = b.counter("warren.delivery.deduplicated", "{message}", "Deliveries acknowledged unseen because the service had acknowledged the event.")
		ways         = b.counter("warren.path.messages", "{message}", "Events by the path they took, the fast one or the slow one, at each step that has both.")
		outstanding  = b.level("warren.delivery.outstanding", "{message}", "Events in the hands of the service, not settled.")
	)
	_, err := b.meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		e.paths.observe(o, ways)
		for _, t := range e.topics.All() {
			written := t.unconfirmed.Load()
			o.ObserveInt64(unconfirmed, written, t.own)
			o.ObserveInt64(pending, max(t.inFlight.Load()-written, 0), t.own)
			t.retries.observe(o, retries)
			o.ObserveInt64(postponed, t.postponed.Load(), t.own)
			for _, d := range t.nodes.All() {
				d.sent.observe(o, sent)
			}
		}
		for _, s := range e.subscriptions.All() {
			o.ObserveInt64(outstanding, s.outstanding.Load(), s.own)
			o.ObserveInt64(deduplicated, s.deduplicated.Load(), s.own)
			for _, r := range s.redelivered {
				r.observe(o, redeliveries)
			}
			for _, d := range s.deadLetters.All() {
				d.observe(o, deadLetters)
			}
			for _, d := range s.taken.All() {
				o.ObserveInt64(taken, d.n.Load(), d.as)
			}
			for _, src := range s.nodes.All() {
				src.consumed.observe(o, consumed)
			}
		}
		return nil
	}, sent, retries, postponed, pending, unconfirmed, consumed, redeliveries, deadLetters, taken, deduplicated, ways, outstanding)
	b.errs = append(b.errs, err)
}

func seconds(since time.Time) float64 { return time.Since(since).Seconds() }
