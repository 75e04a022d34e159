package e2e

import (
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/warrenmesh/warren/test/internal/product"
)

func TestASidecarToldToStopUnderLoadFinishesWhatItHasBegun(t *testing.T) {
	t.Parallel()
	const drain = 15 * time.Second
	r := newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing", attempts: 5, backoff: time.Second}))
	checkout := r.run(product.Sidecar{Workload: "checkout", Drain: drain})
	leaving, staying := r.run(product.Sidecar{Workload: "billing", Drain: drain}), r.service("billing")
	checkout.AwaitReady()
	leaving.AwaitReady()
	load := checkout.load(&producer{topic: "orders", series: "order"})
	first, second := leaving.consume("billing"), staying.consume("billing")
	load.await(200)

	leaving.Signal(syscall.SIGTERM)
	load.await(100)
	checkout.Signal(syscall.SIGTERM)
	for name, s := range map[string]*service{"the receiving sidecar": leaving, "the publishing sidecar": checkout} {
		if code := s.AwaitExit(drain + 10*time.Second); code != 0 {
			t.Errorf("%s exited with %d, want 0", name, code)
		}
	}
	load.stop()

	r.wantAll(load.oks(), first, second)
	for id, err := range load.failed {
		if !certain(err) {
			t.Errorf("%s: after SIGTERM the outcome is not certain: %v", id, err)
		}
	}
	delivered := first.ids()
	maps.Copy(delivered, second.ids())
	for id := range load.failed {
		if delivered[id] {
			t.Errorf("%s was delivered, though its publish failed for certain: %v", id, load.failed[id])
		}
	}
	if len(load.failed) == 0 {
		t.Error("no publish failed: the load ended before the sidecar did")
	}
	t.Logf("%d events confirmed, %d refused", len(load.oks()), len(load.failed))
}

// certain reports whether an error says that nothing was sent: either the sidecar says
// so, or there was no connection to it.
func certain(err error) bool {
	if status.Code(err) != codes.Unavailable {
		return false
	}
	if infos := infosOf(err); len(infos) == 1 {
		return infos[0].GetMetadata()["outcome"] == "not_sent"
	}
	return strings.HasPrefix(status.Convert(err).Message(), "connection error:")
}

func TestASecondSignalEndsADrainingSidecarAtOnce(t *testing.T) {
	t.Parallel()
	const drain = 10 * time.Minute
	r := newRig(t)
	r.start(r.topic("orders"), r.subscription(subscription{name: "billing", topic: "orders", app: "billing"}))
	checkout := r.service("checkout")
	billing := r.run(product.Sidecar{Workload: "billing", Drain: drain})
	billing.AwaitReady()
	in := billing.subscribe("billing")
	checkout.mustPublish("orders", "held")
	in.next() // it is not settled: the drain waits for it
	billing.Signal(syscall.SIGTERM)
	product.Eventually(t, "the sidecar drains", func() error {
		if err := billing.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "draining") {
			return fmt.Errorf("/readyz says %w", err)
		}
		return nil
	})
	if billing.Ended() {
		t.Fatal("the sidecar did not wait for its delivery")
	}
	billing.Signal(syscall.SIGTERM)
	if code := billing.AwaitExit(time.Minute); code != 128+int(syscall.SIGTERM) {
		t.Errorf("exit code %d, want %d", code, 128+int(syscall.SIGTERM))
	}
}
