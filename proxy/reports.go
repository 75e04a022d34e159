package proxy

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	reportv1 "github.com/warrenmesh/warren/api/report/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/metrics"
	"github.com/warrenmesh/warren/proxy/refusal"
	"github.com/warrenmesh/warren/proxy/report"
	"github.com/warrenmesh/warren/xds"
)

// told is what reports to the control plane are made of.
type told struct {
	*Proxy
	events *metrics.Events
}

// reporting returns what reports beside xDS, nil when nothing is to be reported.
func (p *Proxy) reporting(events *metrics.Events) func(context.Context, grpc.ClientConnInterface) {
	if p.opts.NoReports {
		return nil
	}
	source := told{p, events}
	return report.New(report.Options{Source: source, Gauge: source, Logger: p.opts.Logger}).Run
}

// State implements report.Source.
func (t told) State() *reportv1.State {
	out := &reportv1.State{QueuesWithoutBackstop: t.withoutBackstop()}
	if cur := t.config.Current(); cur != nil {
		out.ConfigVersion = cur.Config.Version
	}
	for _, c := range t.pool.Conditions() {
		out.Nodes = append(out.Nodes, &reportv1.BrokerNode{
			Broker: c.Broker.String(), Address: c.Address, Server: report.Text(c.Server), Publishing: c.Publishing,
			Consuming: c.Consuming, Blocked: c.Blocked, Reason: report.Text(c.Reason), QueuesGone: c.Gone,
		})
	}
	for _, u := range t.pool.Undeclared() {
		kind := "EventSubscription"
		name, err := xds.ParseSubscriptionResource(u.Key)
		if err != nil {
			kind = "EventTopic"
			if name, err = xds.ParseTopicResource(u.Key); err != nil {
				continue
			}
		}
		is := &reportv1.Undeclared{Kind: kind, Object: name.String(), Broker: u.Broker.String(), Message: report.Text(u.Err.Error())}
		if why := refusal.Of(refusal.FromBroker(u.Err)); why != nil {
			is.Reason = why.Reason
		}
		out.Undeclared = append(out.Undeclared, is)
	}
	return out
}

// Counters implements report.Source.
func (t told) Counters() (published []*reportv1.Published, delivered []*reportv1.Delivered) {
	totals := t.events.Totals()
	for _, p := range totals.Published {
		published = append(published, &reportv1.Published{Topic: p.Topic.String(), Confirmed: p.Confirmed, Failed: p.Failed, Retried: p.Retried})
	}
	for _, d := range totals.Delivered {
		delivered = append(delivered, &reportv1.Delivered{
			Subscription: d.Subscription.String(), Topic: d.Topic.String(), Publisher: d.Publisher, Delivered: d.Delivered,
			Failed: d.Failed, Retried: d.Retried, DeadLettered: d.DeadLettered, TakenByPolicy: d.TakenByPolicy,
		})
	}
	return published, delivered
}

// Gauge implements report.Gauge.
func (t told) Gauge(ctx context.Context, name, queue string) report.Reading {
	at, err := mesh.ParseName(name, "")
	if err != nil {
		return report.Unable()
	}
	driver, err := t.pool.PickConsumer(at)
	if err != nil || !driver.State().Consuming {
		return report.Reading{Down: true}
	}
	gauge, ok := driver.(broker.Gauge)
	if !ok {
		return report.Unable()
	}
	fill, err := gauge.Gauge(ctx, queue)
	r := report.Reading{Messages: fill.Messages, Consumers: fill.Consumers, Err: err}
	switch kind := broker.KindOf(err); kind {
	case broker.NotFound:
		r.Missing = true
	case broker.Unavailable, broker.Closed, broker.Blocked:
		r.Down = true
	default:
		r.Down = errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	}
	return r
}
