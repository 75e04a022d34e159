package publish

import (
	"context"
	"errors"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/event"
	"github.com/warrenmesh/warren/proxy/route"
	"github.com/warrenmesh/warren/proxy/rpcerr"
	"github.com/warrenmesh/warren/tracing"
	"github.com/warrenmesh/warren/xds"
)

// send publishes m until it is confirmed, the retry policy or the deadline says
// stop, or the failure is certain. It returns the tries made.
func (s *Service) send(ctx context.Context, rule *route.Rule, b *route.Backend, m *broker.Message) (uint32, error) {
	if rule.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rule.Timeout)
		defer cancel()
	}
	ctx, span := s.startSpan(ctx, b, m)
	m.Trace = broker.TraceContext(span.Hop())
	attempts, err := s.tries(ctx, rule, b, m, span)
	span.End(err)
	if err == nil {
		return attempts, nil
	}
	if ctx.Err() != nil && broker.KindOf(err) != broker.Unroutable {
		return attempts, rpcerr.Deadline(broker.OutcomeOf(err), err.Error())
	}
	return attempts, rpcerr.FromBroker(err)
}

func (s *Service) tries(ctx context.Context, rule *route.Rule, b *route.Backend, m *broker.Message, span tracing.Span) (uint32, error) {
	var (
		tried   []broker.Driver
		unknown bool // an earlier try may have reached the broker
	)
	for attempt := uint32(1); ; attempt++ {
		driver, err := s.try(ctx, rule, b, m, tried, span)
		if err == nil {
			return attempt, nil
		}
		unknown = unknown || broker.OutcomeOf(err) == broker.Unknown
		delay, again := rule.RetryPolicy.Next(attempt, err, s.opts.Random())
		if !again || !sleep(ctx, delay) {
			return attempt, honest(err, unknown)
		}
		span.Attempt(int(attempt), err)
		tried = append(tried, driver)
		// A receipt may still hold m, so a repeat gets a message of its own.
		repeat := *m
		repeat.Republished = unknown
		m = &repeat
	}
}

// try is one try on one node.
func (s *Service) try(ctx context.Context, rule *route.Rule, b *route.Backend, m *broker.Message, tried []broker.Driver, span tracing.Span) (broker.Driver, error) {
	ctx, cancel := context.WithTimeout(ctx, rule.RetryPolicy.PerTry(b.ConfirmTimeout))
	defer cancel()
	if err := s.opts.Brokers.Ready(ctx, b.Broker, xds.TopicResource(b.Topic)); err != nil {
		return nil, err
	}
	driver, err := s.opts.Brokers.Pick(b.Broker, tried)
	if err != nil {
		return nil, err
	}
	span.SetServerAddress(driver.State().Address)
	receipt, err := driver.Publish(ctx, m)
	if err != nil {
		return driver, err
	}
	return driver, receipt.Wait(ctx)
}

// honest makes the last error say unknown when any try was: a later certain
// failure does not undo an earlier publish that may have arrived.
func honest(err error, unknown bool) error {
	var be *broker.Error
	if !unknown || !errors.As(err, &be) || be.Outcome == broker.Unknown {
		return err
	}
	softened := *be
	softened.Outcome = broker.Unknown
	return &softened
}

// sleep waits and reports whether ctx allows another try after that.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func (s *Service) startSpan(ctx context.Context, b *route.Backend, m *broker.Message) (context.Context, tracing.Span) {
	e := m.Event
	return s.opts.Tracing.StartPublish(ctx, tracing.Publish{
		System:           tracing.SystemRabbitMQ,
		Exchange:         m.Exchange,
		RoutingKey:       m.RoutingKey,
		Topic:            b.Topic.Name,
		EventID:          e.ID,
		EventSource:      e.Source,
		EventType:        e.Type,
		EventSubject:     e.Text(event.AttrSubject),
		EventTraceParent: e.Text(event.AttrTraceParent),
		EventTraceState:  e.Text(event.AttrTraceState),
		BodySize:         len(e.Data),
	})
}
