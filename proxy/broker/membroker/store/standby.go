package store

import "slices"

// Consumer is a consumer's place at a queue, from Join to Leave.
type Consumer struct {
	turn chan struct{} // closed when it is the consumer's turn; one of many has it at once
	left bool          // guarded by Queue.mu
}

// NewConsumer makes a place for one Join and one Leave, which may come first.
func NewConsumer() *Consumer { return &Consumer{turn: make(chan struct{})} }

// Turn returns the channel that is closed when the consumer may take.
func (c *Consumer) Turn() <-chan struct{} { return c.turn }

// Join makes c a consumer of q. Its turn comes at once, unless q lets one consumer
// at a time receive: then when those before it have left.
func (q *Queue) Join(c *Consumer) {
	q.consumers.Add(1)
	if !q.Single {
		close(c.turn)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.left {
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
func (q *Queue) Leave(c *Consumer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c.left = true
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
