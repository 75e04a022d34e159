package listen

import (
	"encoding/binary"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/warrenmesh/warren/internal/pace"
)

// Partial bounds the bytes of unfinished gRPC messages, over all connections of its
// listeners. gRPC buffers a message until it is whole, and opens the stream's window
// for all of it. So a caller that sends all but the last byte of many messages would
// fill the memory. When there are more bytes than the bound, the connection that has
// most of them is closed.
type Partial struct {
	most  int64
	total atomic.Int64
	onCut func(bytes int64)

	mu    sync.Mutex
	conns map[*partials]struct{} // guarded by mu: those with some
}

// LoggedPartial allows most bytes, and logs when a connection was closed for it.
func LoggedPartial(most int64, logger *slog.Logger) *Partial {
	log := pace.NewLog(logger, boundLines, boundEvery)
	return NewPartial(most, func(bytes int64) {
		log.Warn("connection closed: too many bytes of unfinished messages", "bytes", bytes, "limit", most)
	})
}

// NewPartial allows most bytes. onCut is called when a connection was closed for it;
// it may be nil.
func NewPartial(most int64, onCut func(bytes int64)) *Partial {
	if onCut == nil {
		onCut = func(int64) {}
	}
	return &Partial{most: most, onCut: onCut, conns: map[*partials]struct{}{}}
}

// cut closes the connections that have most, until the rest is within the bound.
func (p *Partial) cut() {
	for p.total.Load() > p.most {
		p.mu.Lock()
		var largest *partials
		for c := range p.conns {
			if largest == nil || c.bytes.Load() > largest.bytes.Load() {
				largest = c
			}
		}
		if largest == nil {
			p.mu.Unlock()
			return
		}
		delete(p.conns, largest)
		p.mu.Unlock()
		p.onCut(largest.bytes.Load())
		largest.close() // its bytes are given back
	}
}

// partials are the unfinished messages of one connection. Two goroutines use it: one
// sees the client's frames, the other the server's.
type partials struct {
	all   *Partial
	close func()
	bytes atomic.Int64
	count atomic.Int32 // of streams; read without mu

	mu      sync.Mutex
	streams map[uint32]*unfinished // guarded by mu
	ended   bool                   // guarded by mu
}

// unfinished is a message of which only a part has arrived.
type unfinished struct {
	prefix [messagePrefix]byte
	have   int   // bytes of prefix
	left   int64 // bytes still to come once prefix is whole
	held   int64 // bytes counted
}

// messagePrefix is the flag and the length before each message (gRPC over HTTP/2,
// Length-Prefixed-Message).
const messagePrefix = 5

// data takes a piece of a stream's DATA.
func (p *partials) data(stream uint32, b []byte) {
	if p.count.Load() == 0 && whole(b) {
		return // as most are
	}
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return
	}
	u := p.streams[stream]
	if u == nil {
		if whole(b) {
			p.mu.Unlock()
			return
		}
		u = &unfinished{}
		p.streams[stream] = u
		p.count.Add(1)
	}
	before := u.held
	u.take(b)
	p.add(u.held - before)
	if u.have == 0 {
		p.drop(stream)
	}
	p.mu.Unlock()
	if p.all.total.Load() > p.all.most {
		p.all.cut()
	}
}

// whole reports whether b consists of whole messages.
func whole(b []byte) bool {
	for len(b) >= messagePrefix {
		n := int64(binary.BigEndian.Uint32(b[1:messagePrefix]))
		if n > int64(len(b)-messagePrefix) {
			return false
		}
		b = b[messagePrefix+n:]
	}
	return len(b) == 0
}

// take goes over b; afterwards have is 0 if no message is unfinished.
func (u *unfinished) take(b []byte) {
	for len(b) > 0 {
		if u.have < messagePrefix {
			n := copy(u.prefix[u.have:], b)
			u.have += n
			u.held += int64(n)
			b = b[n:]
			if u.have < messagePrefix {
				return
			}
			u.left = int64(binary.BigEndian.Uint32(u.prefix[1:]))
		}
		n := min(u.left, int64(len(b)))
		u.left -= n
		u.held += n
		b = b[n:]
		if u.left == 0 {
			u.have, u.held = 0, 0
		}
	}
}

// end forgets what a stream has not finished: it was reset or answered.
func (p *partials) end(stream uint32) {
	if p.count.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if u := p.streams[stream]; u != nil {
		p.add(-u.held)
		p.drop(stream)
	}
}

// endAll is end for the connection.
func (p *partials) endAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.add(-p.bytes.Load())
	p.streams = nil
	p.count.Store(0)
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	delete(p.all.conns, p)
}

// add counts bytes more, or fewer. p.mu is held.
func (p *partials) add(n int64) {
	if n == 0 {
		return
	}
	had := p.bytes.Add(n) - n
	p.all.total.Add(n)
	if had == 0 && n > 0 {
		p.all.mu.Lock()
		defer p.all.mu.Unlock()
		p.all.conns[p] = struct{}{}
	}
}

// drop forgets a stream that holds nothing any more. p.mu is held.
func (p *partials) drop(stream uint32) {
	delete(p.streams, stream)
	p.count.Add(-1)
}
