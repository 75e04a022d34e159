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
)

// Ready returns nil when configuration has arrived and every broker can be
// reached; else it says what is missing.
func (p *Proxy) Ready() error {
	switch {
	case p.draining.Load():
		return errors.New("draining")
	case p.failed.Load():
		return errFailedByHand
	case p.config.Current() == nil:
		return fmt.Errorf("no configuration yet: %s", p.xdsTrouble())
	default:
		return p.pool.Unready()
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

// watchHealth mirrors readiness into the gRPC health service and logs changes.
func (p *Proxy) watchHealth(ctx context.Context) error {
	last := "starting"
	for {
		state, reason := healthv1.HealthCheckResponse_SERVING, ""
		if err := p.Ready(); err != nil {
			state, reason = healthv1.HealthCheckResponse_NOT_SERVING, err.Error()
		}
		if reason != last {
			last = reason
			setHealth(p.health, state)
			p.opts.Logger.Info("readiness changed", "ready", reason == "", "reason", reason)
		}
		pace.Sleep(ctx, healthPause)
		select {
		case <-p.readiness:
		case <-ctx.Done():
			return nil
		}
	}
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
