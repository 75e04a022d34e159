package balance_test

import (
	"fmt"
	"testing"

	"github.com/warrenmesh/warren/internal/budget"
	"github.com/warrenmesh/warren/proxy/balance"
)

// These are what XXH64 with seed 0 says. Another number here is another queue for
// events that are out there: it must never change.
func TestAKeysPartitionIsTheSameForEver(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		key   string
		count uint32
		want  uint32
	}{
		{"", 8, 1}, {"a", 8, 3}, {"order-17", 8, 5}, {"order-17", 7, 1}, {"zażółć", 256, 114}, {"anything", 1, 0},
	} {
		if got := balance.Partition(test.key, test.count); got != test.want {
			t.Errorf("partition of %q among %d is %d, want %d", test.key, test.count, got, test.want)
		}
	}
}

func TestKeysSpreadEvenlyOverPartitions(t *testing.T) {
	t.Parallel()
	for _, count := range []uint32{2, 3, 8, 100} {
		const n = 100_000
		found := make([]int, count)
		for i := range n {
			found[balance.Partition(fmt.Sprintf("customer-%d", i), count)]++
		}
		mean := n / int(count)
		for p, got := range found {
			if got < mean*8/10 || got > mean*12/10 {
				t.Errorf("%d partitions: %d of %d keys are in partition %d, want about %d", count, got, n, p, mean)
			}
		}
	}
}

// Budget: no allocation, a few ns.
func BenchmarkPartition(b *testing.B) {
	budget.Allocs(b, 0)
	for b.Loop() {
		_ = balance.Partition("customer-1234567", 8)
	}
}
