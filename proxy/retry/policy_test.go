package retry_test

import (
	"errors"
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/retry"
)

var all = []mesh.RetryOn{mesh.OnNack, mesh.OnConfirmTimeout, mesh.OnConnectFailure, mesh.OnChannelClosed}

func fail(k broker.Kind) error { return &broker.Error{Kind: k, Op: "publish"} }

func TestWhatIsRetried(t *testing.T) {
	t.Parallel()
	policy := retry.NewPolicy(mesh.Retry{Attempts: 3, On: all, Backoff: mesh.Backoff{Base: time.Second, Max: time.Minute}})
	for kind, want := range map[broker.Kind]bool{
		broker.Unavailable:    true,
		broker.Nacked:         true,
		broker.ConfirmTimeout: true,
		broker.Closed:         true,
		broker.Blocked:        false,
		broker.WindowFull:     false,
		broker.Unroutable:     false,
		broker.NotFound:       false,
		broker.Refused:        false,
		broker.Conflict:       false,
		broker.TooLarge:       false,
		broker.Invalid:        false,
	} {
		if _, got := policy.Next(1, fail(kind), 0); got != want {
			t.Errorf("%v: retried %v, want %v", kind, got, want)
		}
	}
	if _, again := policy.Next(1, errors.New("anything"), 0); again {
		t.Error("an unclassified error was retried")
	}
	if _, again := policy.Next(3, fail(broker.Closed), 0); again {
		t.Error("a fourth attempt was allowed with attempts: 3")
	}
}

func TestOnlyListedFailuresAreRetried(t *testing.T) {
	t.Parallel()
	policy := retry.NewPolicy(mesh.Retry{Attempts: 9, On: []mesh.RetryOn{mesh.OnNack}})
	if _, again := policy.Next(1, fail(broker.Closed), 0); again {
		t.Error("channel-closed was retried though only nack is listed")
	}
	if _, again := policy.Next(1, fail(broker.Nacked), 0); !again {
		t.Error("nack was not retried though it is listed")
	}
}

func TestTheZeroPolicyNeverRetries(t *testing.T) {
	t.Parallel()
	if _, again := (retry.Policy{}).Next(1, fail(broker.Closed), 0); again {
		t.Error("it did")
	}
}

func TestDelaysDoubleUpToTheMaximumWithFullJitter(t *testing.T) {
	t.Parallel()
	policy := retry.NewPolicy(mesh.Retry{Attempts: 9, On: all, Backoff: mesh.Backoff{Base: 50 * time.Millisecond, Max: 300 * time.Millisecond}})
	for attempt, want := range []time.Duration{50, 100, 200, 300, 300} {
		longest, _ := policy.Next(uint32(attempt)+1, fail(broker.Closed), 0)
		half, _ := policy.Next(uint32(attempt)+1, fail(broker.Closed), 0.5)
		if longest != want*time.Millisecond || half != longest/2 {
			t.Errorf("attempt %d: delays %v and %v, want %v and its half", attempt+1, longest, half, want*time.Millisecond)
		}
	}
}

func TestPerTryFallsBackToTheConfirmTimeout(t *testing.T) {
	t.Parallel()
	if got := retry.NewPolicy(mesh.Retry{}).PerTry(2 * time.Second); got != 2*time.Second {
		t.Errorf("without perTryTimeout: %v, want 2s", got)
	}
	if got := retry.NewPolicy(mesh.Retry{PerTryTimeout: time.Second}).PerTry(2 * time.Second); got != time.Second {
		t.Errorf("with perTryTimeout: %v, want 1s", got)
	}
}

func BenchmarkNext(b *testing.B) {
	policy := retry.NewPolicy(mesh.Retry{Attempts: 3, On: all, Backoff: mesh.Backoff{Base: time.Millisecond, Max: time.Second}})
	err := fail(broker.Closed)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = policy.Next(1, err, 0.3)
	}
}
