package passage

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/warrenmesh/warren/mesh"
	"github.com/warrenmesh/warren/proxy/broker"
)

// lines keep the events of one key of a topic in the order in which they were
// accepted: each key has a line, and only its first event is written. The next one
// is when that has its outcome, be it given up, so no retry and no reconnect can put
// an older event behind a newer one.
//
//	join ──▶ waiting ──turn──▶ first ──leave──▶ gone
//	  └──(nobody in line)────────▲      ▲
//	           waiting ──leave (its time was up)──┘
//
// Decision: one event of a key at a time. Context: a nacked event is repeated, and
// newer ones that were written behind it would be confirmed before it. Cost: a key
// has a throughput of one event a confirm; keys do not wait for each other.
//
// What waits counts as in flight, so the budget of the Service bounds the lines. The
// zero value is ready.
type lines [64]shard

// shard has the lines of some keys, so that no lock is shared by all.
type shard struct {
	mu   sync.Mutex
	last map[lineKey]*place // guarded by mu; whoever joined last
}

type lineKey struct {
	topic mesh.Name
	key   string
}

// place is one event's in the line of its key. A nil place is that of an event
// without order: it is always its turn.
type place struct {
	// set by join
	shard *shard
	key   lineKey
	turn  chan struct{} // closed when it becomes this event's turn; nil when it was so at once

	// guarded by shard.mu
	ahead, behind *place
}

// join puts an event at the end of its key's line.
func (l *lines) join(topic mesh.Name, key string) *place {
	s := &l[xxhash.Sum64String(key)%uint64(len(l))]
	p := &place{shard: s, key: lineKey{topic, key}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[lineKey]*place{}
	}
	if last := s.last[p.key]; last != nil {
		p.turn = make(chan struct{})
		p.ahead, last.behind = last, p
	}
	s.last[p.key] = p
	return p
}

// atOnce reports whether nobody was in line when the event came.
func (p *place) atOnce() bool { return p == nil || p.turn == nil }

// leave takes the event out of the line. When it was the first, it is the next one's
// turn. It is called once, whether it was this event's turn or not.
func (p *place) leave() {
	if p == nil {
		return
	}
	p.shard.mu.Lock()
	defer p.shard.mu.Unlock()
	ahead, behind := p.ahead, p.behind
	if ahead != nil {
		ahead.behind = behind
	}
	switch {
	case behind != nil:
		behind.ahead = ahead
		if ahead == nil {
			close(behind.turn)
		}
	case ahead != nil:
		p.shard.last[p.key] = ahead
	default:
		delete(p.shard.last, p.key)
	}
}

// await returns nil when it is the event's turn, and errTurn when ctx ends or the
// deadline comes first.
func (p *place) await(ctx context.Context, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-p.turn:
		// The event ahead often ends at the same deadline. A try would write nothing then.
		if ctx.Err() == nil && time.Now().Before(deadline) {
			return nil
		}
	case <-timer.C:
	case <-ctx.Done():
	}
	return errTurn
}

// errTurn is no failure of the broker: nothing of the event was written.
var errTurn error = &broker.Error{
	Kind: broker.WindowFull, Outcome: broker.NotSent, Op: "wait for the earlier events of its key",
	Err: errors.New("they had no outcome before the deadline"),
}
