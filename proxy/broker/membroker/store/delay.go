package store

import "time"

// forwardRetry is how long a due message waits when its next queue is full or
// does not exist: it was confirmed, so it is kept.
const forwardRetry = 50 * time.Millisecond

// schedule runs forwardDue after d unless it is pending already. The caller holds
// q.mu. All messages of a queue have the same delay, so one timer for the first
// is enough.
func (q *Queue) schedule(d time.Duration) {
	if q.timer != nil || q.closed {
		return
	}
	q.Timers.Add(1)
	q.timer = time.AfterFunc(d, func() {
		defer q.Timers.Done()
		q.forwardDue()
	})
}

// forwardDue moves everything that is due from a delay queue to the queue it
// leads to, in order.
func (q *Queue) forwardDue() {
	for {
		e, wait := q.firstDue()
		if e == nil {
			if wait > 0 {
				q.reschedule(wait)
			}
			return
		}
		target := q.Find(q.Forward)
		if target == nil || !target.Put(&Entry{Message: e.Message, Attempt: e.Attempt}) {
			q.reschedule(forwardRetry)
			return
		}
		q.dropFirst(e)
	}
}

// firstDue returns the first entry if it is due. Otherwise it returns how long
// until it is, or, when the queue is empty, gives up the timer.
func (q *Queue) firstDue() (*Entry, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.fresh.first()
	if e == nil || q.closed {
		q.timer = nil
		return nil, 0
	}
	if wait := time.Until(e.due); wait > 0 {
		return nil, wait
	}
	return e, 0
}

func (q *Queue) reschedule(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.timer = nil
	q.schedule(d)
}

// dropFirst removes e, which firstDue returned; nobody else takes from a delay
// queue.
func (q *Queue) dropFirst(e *Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.fresh.first() == e {
		q.discount(q.fresh.pop())
	}
}
