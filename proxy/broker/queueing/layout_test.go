package queueing_test

import (
	"slices"
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

func billing() mesh.Subscription {
	return mesh.Subscription{
		Name: mesh.Name{Namespace: "shop", Name: "billing"}, Topic: mesh.Name{Namespace: "shop", Name: "orders"},
		Exchange: mesh.Exchange{Name: "orders", Type: "topic"}, Queue: mesh.Queue{Name: "shop.billing", Type: "quorum"},
		Attempts: 3, DeadLetterQueue: "shop.billing.dead",
	}
}

func TestExistingTopologiesAreNotAskedForBindingsAndRooms(t *testing.T) {
	t.Parallel()
	sub := billing()
	sub.Backoff = mesh.Backoff{Base: time.Second, Max: time.Minute}
	for policy, want := range map[mesh.TopologyPolicy][3]int{mesh.Manage: {1, 4, 1}, mesh.Verify: {1, 2, 0}, mesh.Ignore: {1, 2, 0}} {
		l := queueing.Layout(&sub, policy)
		if got := [3]int{len(l.Exchanges), len(l.Queues), len(l.Bindings)}; got != want || l.Policy != policy {
			t.Errorf("%s: got %v exchanges, queues and bindings, want %v", policy, got, want)
		}
	}
}

func TestAnOrderedSubscriptionHasAQueueForEachPartition(t *testing.T) {
	t.Parallel()
	sub := billing()
	sub.Ordering, sub.Partitions = mesh.PerKey, mesh.Partitions{Count: 3, Key: "partitionkey"}
	sub.Backoff = mesh.Backoff{Base: 1, Max: 8}
	want := []string{"shop.billing.p0", "shop.billing.p1", "shop.billing.p2"}
	if got := queueing.Queues(&sub); !slices.Equal(got, want) {
		t.Errorf("queues %v, want %v", got, want)
	}
	l := queueing.Layout(&sub, mesh.Manage)
	if len(l.Queues) != 5 || len(l.Bindings) != 0 || len(l.Partitioners) != 1 {
		t.Fatalf("layout %+v; want three partitions, the dead-letter queue, that of the members, a partitioner and no bindings", l)
	}
	for i, name := range want {
		if q := l.Queues[i]; q.Name != name || !q.SingleActive {
			t.Errorf("queue %+v, want %s with a single active consumer", q, name)
		}
	}
	if q := l.Queues[3]; q.Name != "shop.billing.dead" || q.SingleActive {
		t.Errorf("dead-letter queue %+v", q)
	}
	if p := l.Partitioners[0]; p.Name != "shop.billing.partitions" || p.Exchange != "orders" || !slices.Equal(p.Queues, want) {
		t.Errorf("partitioner %+v", p)
	}
}
