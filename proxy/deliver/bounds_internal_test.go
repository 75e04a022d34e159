package deliver

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/keys"
	"github.com/warrenmesh/warren/proxy/event"
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
		if whole := int(outstanding(s)); whole != test.whole {
			t.Errorf("%+v: %d outstanding", test, whole)
		}
		if parts := partitionPrefetch(s, outstanding(s)); parts != test.parts {
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

func eventOf(source, id string) eventID {
	return idOf(&delivery{Delivery: &broker.Delivery{Event: &event.Event{Source: source, ID: id}}})
}

func TestAnInboxRemembersWithinItsWindowAndBound(t *testing.T) {
	t.Parallel()
	s := New(Options{})
	b := s.inbox(mesh.Name{Name: "billing"})
	id := func(n int) eventID {
		return eventOf("/shop", fmt.Sprint(n))
	}
	now, bounds := time.Now(), mesh.Dedupe{Window: time.Minute, MaxEntries: 3}
	b.add(id(1), now, bounds)
	b.add(id(1), now.Add(30*time.Second), bounds)
	if !b.has(id(1), now.Add(90*time.Second), bounds) || b.has(id(1), now.Add(91*time.Second), bounds) {
		t.Error("remembered for another time than the window since it was last acknowledged")
	}
	for n := range 4 {
		b.add(id(n), now, bounds)
	}
	if b.has(id(0), now, bounds) || !b.has(id(1), now, bounds) || !b.has(id(3), now, bounds) {
		t.Error("the bound does not forget the oldest and only it")
	}
	if eventOf("a", "b") == eventOf("", "ab") {
		t.Error("two events have the same identity")
	}
}
