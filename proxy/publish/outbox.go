package publish

import "sync"

// answer is a result and what it takes of Options.Unread until it is sent.
type answer struct {
	StreamResult
	took int64
}

// outbox keeps results until the client reads them. It has no bound of its own: the
// window has. Putting never blocks.
type outbox struct {
	mu     sync.Mutex
	queue  []answer // guarded by mu
	closed bool     // guarded by mu
	news   chan struct{}
}

func newOutbox() *outbox { return &outbox{news: make(chan struct{}, 1)} }

func (o *outbox) put(a answer) {
	o.mu.Lock()
	o.queue = append(o.queue, a)
	first := len(o.queue) == 1
	o.mu.Unlock()
	if first {
		o.tell()
	}
}

// close says that nothing more comes.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.tell()
}

func (o *outbox) tell() {
	select {
	case o.news <- struct{}{}:
	default: // it is told already
	}
}

// take waits for answers and returns up to maxResults of them, none when the outbox is
// closed and empty. Only one goroutine may take.
func (o *outbox) take() []answer {
	for {
		o.mu.Lock()
		n, closed := min(len(o.queue), maxResults), o.closed
		out := o.queue[:n:n]
		if o.queue = o.queue[n:]; len(o.queue) == 0 {
			o.queue = nil // out is the taker's
		}
		more := len(o.queue) > 0
		o.mu.Unlock()
		if more {
			o.tell()
		}
		if n > 0 || closed {
			return out
		}
		<-o.news
	}
}
