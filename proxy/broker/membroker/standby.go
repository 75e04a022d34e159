package membroker

import "slices"

// Join makes c a consumer of q. Its turn comes at once, unless q lets one consumer
// at a time receive: then when those before it have left.
func (q *Queue) Join(c *channel) {
	q.consumers.Add(1)
	if !q.Single {
		close(c.turn)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.closed {
		q.consumers.Add(-1) // it has left already
		return
	}
	q.line = append(q.line, c)
	if len(q.line) == 1 {
		close(c.turn)
	}
}

// Stop ends a consumer's flow. On a queue with a single active consumer it keeps its
// place in the line until it leaves, with what it has not settled.
func (q *Queue) Stop() {
	if !q.Single {
		q.consumers.Add(-1)
	}
}

// Leave takes c out of the line. What it had not settled is back in the queue.
func (q *Queue) Leave(c *channel) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.line, c)
	if i < 0 {
		return
	}
	q.line = slices.Delete(q.line, i, i+1)
	q.consumers.Add(-1)
	if i == 0 && len(q.line) > 0 {
		close(q.line[0].turn)
	}
}
