package session

import (
	"container/heap"
	"strings"
	"time"

	"github.com/warrenmesh/warren/proxy/broker"
	"github.com/warrenmesh/warren/proxy/deliver/delivery"
	"github.com/warrenmesh/warren/proxy/deliver/internal/settler"
	"github.com/warrenmesh/warren/proxy/event"
)

// handout is a delivery in the hands of the service.
type handout struct {
	settler.Attempt
	token    string
	deadline time.Time
	latest   time.Time // the deadline cannot be moved beyond
	index    int       // in the deadline heap
}

// handouts are the unsettled deliveries of a session: by token, and ordered by
// deadline. It belongs to the session's goroutine.
type handouts struct {
	byToken map[string]*handout
	queue   deadlineHeap
	bytes   uint64
	spares  []*handout // that nobody uses
}

func newHandouts() *handouts { return &handouts{byToken: map[string]*handout{}} }

// spare returns an empty handout.
func (h *handouts) spare() *handout {
	last := len(h.spares) - 1
	if last < 0 {
		return new(handout)
	}
	d := h.spares[last]
	h.spares = h.spares[:last]
	return d
}

// maxSpares bounds the handouts that are kept to be used again.
const maxSpares = 256

// free gives a handout back that was taken, and that nobody else knows.
func (h *handouts) free(d *handout) {
	if len(h.spares) < maxSpares {
		*d = handout{}
		h.spares = append(h.spares, d)
	}
}

func (h *handouts) add(d *handout) {
	h.byToken[d.token] = d
	h.bytes += size(d.Delivery)
	heap.Push(&h.queue, d)
}

// take removes and returns a handout, nil when the token names none.
func (h *handouts) take(token string) *handout {
	d, ok := h.byToken[token]
	if !ok {
		return nil
	}
	delete(h.byToken, token)
	h.bytes -= size(d.Delivery)
	heap.Remove(&h.queue, d.index)
	return d
}

// extend moves the deadline of a handout it has.
func (h *handouts) extend(d *handout, deadline time.Time) {
	d.deadline = deadline
	heap.Fix(&h.queue, d.index)
}

// expired removes and returns the handouts whose deadline has passed.
func (h *handouts) expired(now time.Time) []*handout {
	var out []*handout
	for len(h.queue) > 0 && !h.queue[0].deadline.After(now) {
		out = append(out, h.take(h.queue[0].token))
	}
	return out
}

// of removes and returns the handouts of an epoch that is over.
func (h *handouts) of(l loss) []*handout {
	var out []*handout
	for token, d := range h.byToken {
		if d.Part == l.part && d.Epoch == l.epoch {
			out = append(out, h.take(token))
		}
	}
	return out
}

// maxLapsed bounds the tokens kept of epochs that are over; then all are forgotten.
const maxLapsed = 1 << 16

// lapsed are handouts whose epoch is over, by token. The service may yet say that
// it is done with the event, though the broker cannot be told any more. The zero
// value is empty.
type lapsed map[string]*delivery.Delivery

func (l *lapsed) add(h *handout) {
	if *l == nil || len(*l) >= maxLapsed {
		*l = lapsed{}
	}
	// Who it is will do. What the driver made shares memory with the message's body.
	e := &event.Event{ID: strings.Clone(h.Event.ID), Source: strings.Clone(h.Event.Source)}
	(*l)[h.token] = &delivery.Delivery{Delivery: &broker.Delivery{Event: e}, Subscription: h.Subscription}
}

// next returns the earliest deadline.
func (h *handouts) next() (time.Time, bool) {
	if len(h.queue) == 0 {
		return time.Time{}, false
	}
	return h.queue[0].deadline, true
}

func size(d *delivery.Delivery) uint64 { return uint64(len(d.Event.Data)) }

// deadlineHeap implements heap.Interface.
type deadlineHeap []*handout

func (q deadlineHeap) Len() int           { return len(q) }
func (q deadlineHeap) Less(i, j int) bool { return q[i].deadline.Before(q[j].deadline) }
func (q deadlineHeap) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *deadlineHeap) Push(x any) {
	d, _ := x.(*handout)
	d.index = len(*q)
	*q = append(*q, d)
}

func (q *deadlineHeap) Pop() any {
	last := len(*q) - 1
	d := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return d
}
