package membroker

import (
	"context"
	"sync"

	"github.com/warrenmesh/warren/proxy/broker/membroker/store"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
)

// bury puts what q gave up into its dead-letter queue. What does not fit there, or has
// none, is gone.
func (b *Broker) bury(q *store.Queue, reason string, given []*store.Entry) {
	if q.DeadLetter == "" || len(given) == 0 {
		return
	}
	dead := b.queue(q.DeadLetter)
	if dead == nil {
		return
	}
	for _, e := range given {
		own := &store.Entry{Message: e.Letter(reason), Attempt: e.Attempt}
		own.Message.DeadLetter.Part = q.Name
		dead.Put(own)
		b.watchers.tell(q.DeadLetter, own)
	}
}

// watchers are told what the broker buries. The zero value has none.
type watchers struct {
	mu sync.Mutex
	by map[string]map[chan *store.Entry]struct{} // guarded by mu; by dead-letter queue
}

// watchBuffer is how much may wait for a watcher; what comes beyond is not told.
const watchBuffer = 1024

func (w *watchers) add(queue string) chan *store.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.by == nil {
		w.by = map[string]map[chan *store.Entry]struct{}{}
	}
	if w.by[queue] == nil {
		w.by[queue] = map[chan *store.Entry]struct{}{}
	}
	c := make(chan *store.Entry, watchBuffer)
	w.by[queue][c] = struct{}{}
	return c
}

func (w *watchers) remove(queue string, c chan *store.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.by[queue], c)
}

func (w *watchers) tell(queue string, e *store.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.by[queue] {
		select {
		case c <- e:
		default:
		}
	}
}

// Watch implements queueing.Driver.
func (n *Node) Watch(ctx context.Context, deadLetterQueue string, told func(*queueing.Delivery)) error {
	c := n.broker.watchers.add(deadLetterQueue)
	defer n.broker.watchers.remove(deadLetterQueue, c)
	for {
		select {
		case e := <-c:
			told(delivery(e, deadLetterQueue))
		case <-ctx.Done():
			return nil
		}
	}
}

// Backed implements queueing.Driver.
func (n *Node) Backed(queue string) bool {
	q := n.broker.queue(queue)
	return q != nil && q.DeadLetter != ""
}
