package localbroker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startCluster starts a cluster that the test stops.
func startCluster(t *testing.T, n int) *Cluster {
	t.Helper()
	c, err := StartCluster(t.Context(), Options{Dir: filepath.Join(t.TempDir(), "cluster"), Want: WantFrom(os.Getenv), Report: func(line string) { t.Log(line) }}, n)
	if err != nil {
		t.Fatalf("start cluster: %v", err)
	}
	t.Cleanup(c.Stop)
	return c
}

// answers probes a member as a client of AMQP, for a moment.
func answers(m *Member) error {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, err := Probe(ctx, m.URL())
	return err
}

func TestAClusterLosesAMemberAndGetsItBack(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts RabbitMQ nodes")
	}
	c := startCluster(t, 2)
	first, second := c.Members[0], c.Members[1]
	if err := second.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if pid, err := second.PID(); err == nil {
		t.Errorf("the killed member still is process %d", pid)
	}
	await(t, "the first member notices", func() bool {
		running, err := first.Call(t.Context(), "length(rabbit_nodes:all_running()).")
		return err == nil && running == "1"
	})
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, "both members run again", func() bool {
		running, err := first.Call(t.Context(), "length(rabbit_nodes:all_running()).")
		return err == nil && running == "2"
	})
	if err := first.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := answers(first); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a frozen member was probed with %v", err)
	}
	if err := first.Thaw(); err != nil {
		t.Fatal(err)
	}
	await(t, "the thawed member answers", func() bool { return answers(first) == nil })
	if _, err := first.Call(t.Context(), "this_is:no_function()."); err == nil || !strings.Contains(err.Error(), first.Name()) {
		t.Errorf("a call that cannot be evaluated says %v", err)
	}
	c.Stop()
	for _, m := range c.Members {
		if left := processes(t, m.node.token); len(left) > 0 {
			t.Errorf("processes left after Stop: %q", left)
		}
	}
}
