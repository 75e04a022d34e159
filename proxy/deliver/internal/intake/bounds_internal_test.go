package intake

import (
	"slices"
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/deliver/internal/keys"
)

func TestPrefetchIsBoundedByCountAndBytes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		prefetch     uint32
		bytes        uint64
		eventBytes   uint32
		partitions   uint32
		whole, parts int
	}{
		{prefetch: 64, whole: 64, parts: 64},
		{prefetch: 64, bytes: 10 << 20, eventBytes: 1 << 20, whole: 10, parts: 10},
		{prefetch: 64, bytes: 1 << 10, eventBytes: 1 << 20, whole: 1, parts: 1},
		{prefetch: 4, bytes: 1 << 30, eventBytes: 1 << 20, whole: 4, parts: 8},
		{prefetch: 64, partitions: 4, whole: 64, parts: 16},
		{prefetch: 64, partitions: 32, whole: 64, parts: 8},
		{prefetch: 64, bytes: 64 << 20, eventBytes: 1 << 20, partitions: 16, whole: 64, parts: 4},
		{prefetch: 64, bytes: 64 << 20, eventBytes: 1 << 20, partitions: 1000, whole: 64, parts: 1},
	} {
		s := &mesh.Subscription{
			Queue:      mesh.Queue{Prefetch: test.prefetch, PrefetchBytes: test.bytes, MaxEventBytes: test.eventBytes},
			Partitions: mesh.Partitions{Count: test.partitions},
		}
		if whole := int(Outstanding(s)); whole != test.whole {
			t.Errorf("%+v: %d outstanding", test, whole)
		}
		if parts := partitionPrefetch(s, Outstanding(s)); parts != test.parts {
			t.Errorf("%+v: %d prefetched from a partition", test, parts)
		}
	}
}

func TestAPartitionIsOverdueBeforeItsEventsCannotBeHeldForAnAckDeadline(t *testing.T) {
	t.Parallel()
	now := time.Now()
	loads := []keys.Load{
		{Part: "idle"},
		{Part: "young", Oldest: now.Add(-9 * time.Minute)},
		{Part: "waiting", Oldest: now.Add(-15 * time.Minute)},
		{Part: "old", Oldest: now.Add(-24*time.Minute - 40*time.Second)},
	}
	for ackDeadline, want := range map[time.Duration][]string{
		30 * time.Second: {"old"},
		15 * time.Minute: {"waiting", "old"},
		time.Hour:        {"waiting", "old"},
	} {
		if got := overdue(loads, ackDeadline, now); !slices.Equal(got, want) {
			t.Errorf("with an ack deadline of %v %v are overdue, want %v", ackDeadline, got, want)
		}
	}
}
