package proxy

import (
	"context"
	"errors"

	adminv1 "github.com/warrenmesh/warren/api/admin/v1"
)

// errFailedByHand is what readiness says after /healthcheck/fail.
var errFailedByHand = errors.New("an operator made the health check fail")

// Drain ends the work of a phase and reports whether everything was settled before
// ctx ended; what was not goes back to its queue. It is idempotent and may be
// called beside Run's own drain. The zero phase drains nothing.
func (p *Proxy) Drain(ctx context.Context, phase adminv1.DrainPhase) (clean bool) {
	p.noteDrained(phase)
	switch phase {
	case adminv1.DrainPhase_DRAIN_PHASE_ALL:
		p.draining.Store(true)
		p.readiness.changed()
		p.health.Shutdown()
		p.publish.Drain()
	case adminv1.DrainPhase_DRAIN_PHASE_DELIVERY:
	default:
		return true
	}
	p.opts.Logger.Info("drain requested", "phase", phase.String())
	p.endDeliveries(ctx)
	return ctx.Err() == nil
}

// noteDrained keeps the furthest phase.
func (p *Proxy) noteDrained(phase adminv1.DrainPhase) {
	for {
		old := p.drained.Load()
		if old >= int32(phase) || p.drained.CompareAndSwap(old, int32(phase)) {
			return
		}
	}
}

// FailHealthCheck makes the proxy unready by hand, or no longer so.
func (p *Proxy) FailHealthCheck(fail bool) {
	p.failed.Store(fail)
	p.readiness.changed()
}

// Quit makes Run drain and return, as the end of its context does. It returns at
// once and is idempotent.
func (p *Proxy) Quit() { p.quitOnce.Do(func() { close(p.quit) }) }
