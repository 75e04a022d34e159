package intake

import "github.com/warrenmesh/warren/mesh"

// leastPartitionPrefetch keeps a partition's flow going while its settlements
// travel, whatever the number of partitions.
const leastPartitionPrefetch = 8

// Outstanding returns how many events of s may be unsettled: its prefetch, or as
// many of the topic's largest as fit into its bytes, at least one. It cannot bound
// what others publish with larger ones.
func Outstanding(s *mesh.Subscription) uint32 {
	n := max(s.Queue.Prefetch, 1)
	if s.Queue.PrefetchBytes > 0 && s.Queue.MaxEventBytes > 0 {
		n = uint32(min(uint64(n), max(s.Queue.PrefetchBytes/uint64(s.Queue.MaxEventBytes), 1)))
	}
	return n
}

// partitionPrefetch returns the prefetch of each partition's consumer when the
// service may have as many events in its hands. Partitions share that, but get
// leastPartitionPrefetch each as far as the subscription's bytes allow, and at
// least one.
func partitionPrefetch(s *mesh.Subscription, inHand uint32) int {
	partitions := max(s.Partitions.Count, 1)
	n := uint64(max(inHand/partitions, leastPartitionPrefetch))
	if s.Queue.PrefetchBytes > 0 && s.Queue.MaxEventBytes > 0 {
		n = min(n, s.Queue.PrefetchBytes/uint64(s.Queue.MaxEventBytes)/uint64(partitions))
	}
	return int(max(n, 1))
}
