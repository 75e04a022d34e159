package controlplane

import (
	"context"
	"sync"
	"testing"

	"github.com/warrenmesh/warren/controlplane/status"
	"github.com/warrenmesh/warren/xds"
)

// ledger keeps the newest status that was written of each object.
type ledger struct {
	mu      sync.Mutex
	objects map[string]status.Object
	writes  int
}

func (l *ledger) Write(_ context.Context, o status.Object) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.objects[o.Name.String()] = o
	l.writes++
	return nil
}

// programmed is what was written of an object's condition Programmed.
func (l *ledger) programmed(name string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.objects[name].Conditions {
		if c.Type == "Programmed" {
			return c.Reason
		}
	}
	return ""
}

// While a writer hangs, changes reach the sidecars; when it comes back, it gets what is
// so by then, once.
func TestAStatusWriterHoldsUpNoPush(t *testing.T) {
	t.Parallel()
	l := &ledger{objects: map[string]status.Object{}}
	hung, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	dir := shopDir(t)
	cp := launch(t, dir, func(o *Options) {
		o.StatusWriter = status.WriterFunc(func(ctx context.Context, object status.Object) error {
			once.Do(func() { close(hung) })
			select {
			case <-release:
				return l.Write(ctx, object)
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	wait(t, "ready", cp.Ready())
	wait(t, "writing", hung)

	s := connect(t, cp, "a")
	s.ack(s.subscribe(xds.TypeRoute, "topic/shop/orders"))
	for weight := range 5 {
		edit(t, dir, map[string]string{"routes.yaml": routeYAML(10+weight, 1)})
		s.ack(s.next())
	}
	eventually(t, "the status is known", func() bool {
		return condition(object(t, getStatus(t, cp, ""), "EventRoute", "canary"), "Programmed").GetReason() == "Programmed"
	})
	if got := l.programmed("EventRoute shop/canary"); got != "" {
		t.Errorf("%s was written by a writer that hangs", got)
	}
	close(release)
	eventually(t, "the newest is written", func() bool {
		return l.programmed("EventRoute shop/canary") == "Programmed" && l.programmed("EventBroker shop/main") == "NoSidecars"
	})
	eventually(t, "all of them are", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.objects) == 6 })
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writes != 6 {
		t.Errorf("%d writes of 6 objects", l.writes)
	}
}
