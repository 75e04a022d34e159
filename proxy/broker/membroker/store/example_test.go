package store_test

import (
	"fmt"

	"github.com/warrenmesh/warren/proxy/broker/membroker/store"
	"github.com/warrenmesh/warren/proxy/broker/queueing"
	"github.com/warrenmesh/warren/proxy/event"
)

func ExampleQueue() {
	q := store.New(store.Options{
		Name: "billing", MaxEntries: 10, MaxBytes: 1 << 20,
		Bury: func(*store.Queue, string, []*store.Entry) {}, // it has no dead-letter queue
	})
	for _, id := range []string{"order-1", "order-2"} {
		m := store.Keep(&queueing.Message{Event: &event.Event{ID: id}})
		q.Put(&store.Entry{Message: m, Attempt: 1})
	}
	q.Return(q.Take()) // to its place, before order-2
	e := q.Take()
	fmt.Println(e.Message.Event.ID, "attempt", e.Attempt, "redelivered", e.Redelivered)
	q.Forget(e)
	ready, unsettled := q.Len()
	fmt.Println(ready, "ready,", unsettled, "unsettled")
	// Output:
	// order-1 attempt 2 redelivered true
	// 1 ready, 0 unsettled
}
