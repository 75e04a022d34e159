package deliver_test

import (
	"slices"
	"testing"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/deliver"
)

func TestAnOrderedSubscriptionHasAQueueForEachPartition(t *testing.T) {
	t.Parallel()
	sub := subscription()
	sub.Ordering, sub.Partitions = mesh.PerKey, mesh.Partitions{Count: 3, Key: "partitionkey"}
	sub.Backoff = mesh.Backoff{Base: 1, Max: 8}
	want := []string{"shop.billing.p0", "shop.billing.p1", "shop.billing.p2"}
	if got := deliver.Queues(&sub); !slices.Equal(got, want) {
		t.Errorf("queues %v, want %v", got, want)
	}
	l := deliver.Layout(&sub, mesh.Manage)
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
