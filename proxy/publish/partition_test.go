package publish_test

import (
	"fmt"
	"testing"

	eventsv1 "github.com/warrenmesh/warren/api/events/v1"
	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/balance"
)

// partitions makes the rig's topic one of eight, keyed by partitionkey.
func partitions(rule *mesh.Rule) {
	rule.Backends[0].Destination.Partitions = mesh.Partitions{Count: 8, Key: "partitionkey"}
}

// keyed is the n-th event of a key.
func keyed(key string, n int) *eventsv1.CloudEvent {
	e := numbered(n)
	e.Attributes = map[string]*eventsv1.CloudEvent_CloudEventAttributeValue{"partitionkey": attr(key)}
	return e
}

func TestAnEventsPartitionIsThatOfItsKey(t *testing.T) {
	t.Parallel()
	r := newRig(t, partitions)
	for i, key := range []string{"a", "b", "a", "order-17"} {
		if _, err := r.send(t, keyed(key, i)); err != nil {
			t.Fatal(err)
		}
		m := r.broker.Peek("q", 10)[i]
		if want := balance.Partition(key, 8); !m.Partitioned || m.Partition != want {
			t.Errorf("event of key %q: partition %d (%v), want %d", key, m.Partition, m.Partitioned, want)
		}
	}
}

func TestEventsWithoutAKeySpreadOverThePartitions(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, 1000, partitions)
	found := map[uint32]int{}
	for i := range 400 {
		if _, err := r.send(t, numbered(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range r.broker.Peek("q", 400) {
		if !m.Partitioned {
			t.Fatal("no partition")
		}
		found[m.Partition]++
	}
	for p := range uint32(8) {
		if found[p] < 20 {
			t.Errorf("partition %d got %d of 400 events", p, found[p])
		}
	}
}

func TestATopicWithoutPartitionsWritesNone(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	if _, err := r.send(t, keyed("a", 1)); err != nil {
		t.Fatal(err)
	}
	if m := r.broker.Peek("q", 1)[0]; m.Partitioned {
		t.Errorf("partition %d", m.Partition)
	}
}

func TestAKeyStaysOnOneSideOfACanary(t *testing.T) {
	t.Parallel()
	r := newRigOf(t, 1000, func(rule *mesh.Rule) {
		partitions(rule)
		next := rule.Backends[0]
		next.Destination.RoutingKey = "com.shop.next"
		rule.Backends = append(rule.Backends, next)
	})
	sides := map[string]map[string]bool{}
	for i := range 200 {
		if _, err := r.send(t, keyed(fmt.Sprint("key-", i%20), i)); err != nil {
			t.Fatal(err)
		}
	}
	used := map[string]bool{}
	for _, m := range r.broker.Peek("q", 200) {
		key := m.Event.Text("partitionkey")
		if sides[key] == nil {
			sides[key] = map[string]bool{}
		}
		sides[key][m.RoutingKey] = true
		used[m.RoutingKey] = true
	}
	for key, side := range sides {
		if len(side) != 1 {
			t.Errorf("events of key %s went to %v", key, side)
		}
	}
	if len(used) != 2 {
		t.Errorf("sides used: %v, want both", used)
	}
}
