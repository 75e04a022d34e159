package history

import (
	"hash/maphash"
	"sync"
)

const (
	shards = 64  // so that publishers and consumers rarely need the same lock
	chunk  = 256 // records; a full chunk is never moved, so that entries may point into it
)

var hashSeed = maphash.MakeSeed()

// log is an append-only list of records for many writers. Records of one id are in one
// shard and keep their order.
type log[T any] struct {
	shards [shards]shard[T]
}

type shard[T any] struct {
	mu     sync.Mutex // guards chunks and the records in them
	chunks [][]T
}

// entry points to a record in a log. The zero entry points to none.
type entry[T any] struct {
	shard  *shard[T]
	record *T // guarded by shard.mu
}

func (l *log[T]) add(id string, v T) entry[T] {
	s := &l.shards[maphash.String(hashSeed, id)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.chunks) - 1
	if last < 0 || len(s.chunks[last]) == chunk {
		s.chunks = append(s.chunks, make([]T, 0, chunk))
		last++
	}
	s.chunks[last] = append(s.chunks[last], v)
	return entry[T]{s, &s.chunks[last][len(s.chunks[last])-1]}
}

func (e entry[T]) update(f func(*T)) {
	if e.shard == nil {
		return
	}
	e.shard.mu.Lock()
	defer e.shard.mu.Unlock()
	f(e.record)
}

// all returns a copy of every record.
func (l *log[T]) all() []T {
	var out []T
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		for _, c := range s.chunks {
			out = append(out, c...)
		}
		s.mu.Unlock()
	}
	return out
}
