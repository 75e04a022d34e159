package check

import (
	"time"

	"github.com/warrenmesh/warren/test/faults/history"
)

// event is all calls for one id.
type event struct {
	first  *history.Publish // the call that began first
	firmed *history.Publish // the OK call that began first; nil when there is none
	// writable is when the first call that may have written the event began. It is
	// unset while writes is 0.
	writable time.Duration
	writes   int   // number of calls that may have written it
	key      int32 // index of topic and key; -1 when it has no place in an order
}

// answer is the best answer of the event.
func (e *event) answer() history.Result {
	switch {
	case e.firmed != nil:
		return history.OK
	case e.writes > 0:
		return history.Unknown
	default:
		return history.Failed
	}
}

// certain returns the call that determines the event's place in the order.
func (e *event) certain() *history.Publish {
	if e.firmed != nil {
		return e.firmed
	}
	return e.first
}

// before reports whether e had to be delivered before f: a call of e that was answered
// OK began before f can have been written.
func (e *event) before(f *event) bool {
	if e.firmed == nil {
		return false
	}
	if e.firmed.Start != f.writable {
		return e.firmed.Start < f.writable
	}
	return e.first.Seq < f.first.Seq
}

// later reports whether e can have been written only after f was written.
func (e *event) later(f *event) bool {
	if e.writable != f.writable {
		return e.writable > f.writable
	}
	return e.first.Seq > f.first.Seq
}

// orderKey is the scope of an order.
type orderKey struct{ topic, key string }

// events indexes the published events.
type events struct {
	list []event
	byID map[string]int32
	keys map[orderKey]int32
}

func indexEvents(calls []history.Publish) *events {
	x := &events{byID: make(map[string]int32, len(calls)), keys: map[orderKey]int32{}, list: make([]event, 0, len(calls))}
	for i := range calls {
		x.take(&calls[i])
	}
	return x
}

func (x *events) take(p *history.Publish) {
	n, known := x.byID[p.ID]
	if !known {
		n = int32(len(x.list))
		x.byID[p.ID] = n
		x.list = append(x.list, event{first: p, writable: p.Start, key: x.key(p)})
	}
	e := &x.list[n]
	if p.Start < e.first.Start {
		e.first = p
	}
	if p.Result == history.OK && (e.firmed == nil || p.Start < e.firmed.Start) {
		e.firmed = p
	}
	if p.Result == history.Failed {
		return
	}
	if e.writes == 0 || p.Start < e.writable {
		e.writable = p.Start
	}
	e.writes++
}

func (x *events) key(p *history.Publish) int32 {
	if p.Seq == 0 {
		return -1
	}
	k := orderKey{p.Topic, p.Key}
	n, known := x.keys[k]
	if !known {
		n = int32(len(x.keys))
		x.keys[k] = n
	}
	return n
}
