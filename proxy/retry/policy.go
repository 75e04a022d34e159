// Package retry decides whether and when a failed publish is tried again. It is the
// only layer that decides this. It is pure: the caller passes time and randomness.
package retry

import (
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// Policy is a compiled retry policy. The zero Policy never retries.
type Policy struct {
	attempts uint32
	on       uint32 // bit set of mesh.RetryOn
	backoff  mesh.Backoff
	perTry   time.Duration
}

// NewPolicy compiles r.
func NewPolicy(r mesh.Retry) Policy {
	p := Policy{attempts: r.Attempts, backoff: r.Backoff, perTry: r.PerTryTimeout}
	for _, on := range r.On {
		p.on |= 1 << on
	}
	return p
}

// PerTry returns the time one try may take: the policy's, else fallback.
func (p Policy) PerTry(fallback time.Duration) time.Duration {
	if p.perTry > 0 {
		return p.perTry
	}
	return fallback
}

// Next says whether to try again after the attempt-th try (from 1) failed with
// err, and after which delay. random in [0,1) spreads the delay over (0, backoff]
// ("full jitter"). The delay returned is the delay to sleep.
func (p Policy) Next(attempt uint32, err error, random float64) (time.Duration, bool) {
	if attempt >= p.attempts || !p.covers(broker.KindOf(err)) {
		return 0, false
	}
	ceiling := p.backoff.Delay(attempt)
	return time.Duration((1 - random) * float64(ceiling)), true
}

func (p Policy) covers(k broker.Kind) bool {
	var on mesh.RetryOn
	switch k {
	case broker.Nacked:
		on = mesh.OnNack
	case broker.ConfirmTimeout:
		on = mesh.OnConfirmTimeout
	case broker.Unavailable:
		on = mesh.OnConnectFailure
	case broker.Closed:
		on = mesh.OnChannelClosed
	default:
		return false // repeating cannot help, or shedding load is the point
	}
	return p.on&(1<<on) != 0
}
