package load

import (
	"context"
	"time"
)

// pace spreads events evenly over time. It does not catch up with a burst when the
// machine was too slow.
type pace struct {
	every time.Duration
	due   time.Time
}

func newPace(rate int) *pace {
	return &pace{every: time.Second / time.Duration(max(rate, 1)), due: time.Now()}
}

// wait blocks until n more events are due, and reports whether to go on.
func (p *pace) wait(ctx context.Context, stop <-chan struct{}, n int) bool {
	p.due = p.due.Add(p.every * time.Duration(n))
	if late := time.Since(p.due); late > 100*time.Millisecond {
		p.due = p.due.Add(late)
	}
	return sleep(ctx, stop, time.Until(p.due))
}

// sleep waits. It returns false when ctx has ended or stop is closed.
func sleep(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	select { // an ended load makes no event, even when one is due
	case <-stop:
		return false
	case <-ctx.Done():
		return false
	default:
	}
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	case <-ctx.Done():
		return false
	}
}
