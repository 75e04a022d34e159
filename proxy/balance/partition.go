package balance

import "github.com/cespare/xxhash/v2"

// Partition maps a key to one of count partitions. The hash never changes, because it
// decides which queue holds a key's events; it depends on neither nodes nor queues.
// count must not be 0.
func Partition(key string, count uint32) uint32 {
	return uint32(xxhash.Sum64String(key) % uint64(count)) //nolint:gosec // less than count
}
