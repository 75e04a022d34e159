package balance

import "github.com/cespare/xxhash/v2"

// Partition maps a key to one of count partitions, by the same hash for ever and
// everywhere: what it returns decides in which queue a key's events are, so neither
// nodes nor queues that come and go may have a say in it. count must not be 0.
func Partition(key string, count uint32) uint32 {
	return uint32(xxhash.Sum64String(key) % uint64(count)) //nolint:gosec // less than count
}
