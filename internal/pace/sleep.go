package pace

import (
	"context"
	"time"
)

// Sleep waits for d and reports whether ctx lasted as long. For d of zero or less it does
// not wait.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
