package proxy

import (
	"testing"
	"time"

	"github.com/warrenmesh/warren/mesh"
)

func TestTheDumpShowsOrderWhereThereIsOne(t *testing.T) {
	t.Parallel()
	partitions := mesh.Partitions{Count: 8, Key: "partitionkey"}
	got := subscriptionDump(&mesh.Subscription{
		Queue: mesh.Queue{Name: "q", PrefetchBytes: 1 << 20, MaxEventBytes: 1 << 10}, Ordering: mesh.PerKey, Partitions: partitions,
		MaxElapsed: time.Minute, KeyPolicy: mesh.Hold, Dedupe: mesh.Dedupe{Window: time.Hour, MaxEntries: 9},
	})
	if got.GetOrdering() != "PerKey" || got.GetPartitions().GetCount() != 8 || got.GetPartitions().GetKey() != "partitionkey" ||
		got.GetMaxElapsed().AsDuration() != time.Minute || got.GetKeyPolicy() != "Hold" {
		t.Errorf("order: got %v", got)
	}
	if got.GetPrefetchBytes() != 1<<20 || got.GetDedupeWindow().AsDuration() != time.Hour || got.GetDedupeMaxEntries() != 9 {
		t.Errorf("bounds: got %v", got)
	}
	plain := subscriptionDump(&mesh.Subscription{Queue: mesh.Queue{Name: "q"}})
	if plain.GetOrdering() != "None" || plain.GetPartitions() != nil || plain.GetMaxElapsed() != nil || plain.GetKeyPolicy() != "" || plain.GetDedupeWindow() != nil {
		t.Errorf("without order: got %v", plain)
	}
	topic := topicDump(&mesh.Topic{Rules: []mesh.Rule{{Backends: []mesh.Backend{{Destination: mesh.Destination{Partitions: partitions}}, {}}}}})
	if b := topic.GetRules()[0].GetBackends(); b[0].GetPartitions().GetCount() != 8 || b[1].GetPartitions() != nil {
		t.Errorf("backends: got %v", b)
	}
}
