package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/internal/pace"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/xds"
)

// Ready returns nil when configuration is known, from the control plane or from the last-good
// file; else it says what is missing. Brokers count only with Options.ReadyRequiresBroker: a
// broker that is down is down for every pod, and taking all of them out of their Services
// would stop what needs no broker, too.
func (p *Proxy) Ready() error {
	switch {
	case p.draining.Load():
		return errors.New("draining")
	case p.failed.Load():
		return errFailedByHand
	case p.config.Current() == nil:
		return fmt.Errorf("no configuration yet: %s", p.xdsTrouble())
	case p.opts.ReadyRequiresBroker:
		return p.pool.Unready()
	default:
		return nil
	}
}

// listening returns nil once the listeners are open.
func (p *Proxy) listening() error {
	select {
	case <-p.started:
		return nil
	default:
		return errors.New("the listeners are not open yet")
	}
}

func (p *Proxy) xdsTrouble() string {
	if s := p.xds.Status(); s.LastError != "" {
		return fmt.Sprintf("control plane %s: %s", p.opts.ControlPlane, s.LastError)
	}
	return "waiting for control plane " + p.opts.ControlPlane
}

// signal wakes one waiter, however often changed was called meanwhile.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

// changed never blocks.
func (s signal) changed() {
	select {
	case s <- struct{}{}:
	default: // the waiter is woken already
	}
}

// healthPause is the least time between two looks at readiness: what comes up, or goes,
// in steps is told once.
const healthPause = 100 * time.Millisecond

// watchHealth mirrors readiness, and what can be published and received, into the gRPC
// health service and logs changes.
func (p *Proxy) watchHealth(ctx context.Context) error {
	last, lastTrouble := "starting", ""
	for {
		state, reason := serving(p.Ready())
		if reason != last {
			last = reason
			setHealth(p.health, state)
			p.opts.Logger.Info("readiness changed", "ready", reason == "", "reason", reason)
		}
		p.mirrorObjects()
		if _, trouble := serving(p.pool.Unready()); trouble != lastTrouble {
			lastTrouble = trouble
			p.opts.Logger.Info("reach of brokers changed", "reached", trouble == "", "reason", trouble)
		}
		pace.Sleep(ctx, healthPause)
		select {
		case <-p.readiness:
		case <-ctx.Done():
			return nil
		}
	}
}

func serving(err error) (state healthv1.HealthCheckResponse_ServingStatus, reason string) {
	if err != nil {
		return healthv1.HealthCheckResponse_NOT_SERVING, err.Error()
	}
	return healthv1.HealthCheckResponse_SERVING, ""
}

// mirrorObjects tells the health of each topic and subscription of the configuration, by
// the names topic/NAMESPACE/NAME and subscription/NAMESPACE/NAME. Only watchHealth calls it.
func (p *Proxy) mirrorObjects() {
	cur := p.config.Current()
	if cur == nil {
		return
	}
	now := make(map[string]healthv1.HealthCheckResponse_ServingStatus, len(cur.Config.Topics)+len(cur.Config.Subscriptions))
	for name, t := range cur.Config.Topics {
		now[xds.TopicResource(name)], _ = serving(p.topicOutage(t))
	}
	for name, s := range cur.Config.Subscriptions {
		key := xds.SubscriptionResource(name)
		now[key], _ = serving(p.pool.Outage(s.Broker, key, func(s broker.State) bool { return s.Consuming }))
	}
	for name, state := range now {
		if p.objects[name] != state {
			p.health.SetServingStatus(name, state)
		}
	}
	for name := range p.objects {
		if _, ok := now[name]; !ok {
			p.health.SetServingStatus(name, healthv1.HealthCheckResponse_SERVICE_UNKNOWN)
		}
	}
	p.objects = now
}

// topicOutage says why events of a topic cannot be published now: each topic that its
// routes lead to must take them, for it is the event that decides which.
func (p *Proxy) topicOutage(t *mesh.Topic) error {
	for i := range t.Rules {
		for j := range t.Rules[i].Backends {
			d := &t.Rules[i].Backends[j].Destination
			err := p.pool.Outage(d.Broker, xds.TopicResource(d.Topic), func(s broker.State) bool { return s.Publishing })
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// newHealth starts out NOT_SERVING; watchHealth keeps it true.
func newHealth() *health.Server {
	h := health.NewServer()
	setHealth(h, healthv1.HealthCheckResponse_NOT_SERVING)
	return h
}

func setHealth(h *health.Server, s healthv1.HealthCheckResponse_ServingStatus) {
	h.SetServingStatus("", s)
	h.SetServingStatus(eventsv1.EventService_ServiceDesc.ServiceName, s)
}
