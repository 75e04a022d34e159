// Package history holds the records of a run with faults: every publish call with its
// answer, every delivery with its outcome, the messages left in queues and dead-letter
// queues at the end, samples of the processes, and the faults.
//
// It owns the records and their file format. Package check judges them. A Recorder is
// safe for concurrent use and made for millions of records; a Run is plain data for one
// goroutine. All times are since the start of the run, on the monotonic clock, so a
// wall clock that jumps has no effect.
//
//	rec := history.New("broker-killed", seed)
//	call := rec.Begin(history.Publish{ID: "1", Topic: "shop/orders", Key: "k", Seq: 1, Deadline: time.Second})
//	rec.Answer(call, history.Answer{Result: history.OK})
//	got := rec.Deliver(history.Delivery{Subscription: "shop/billing", ID: "1", Key: "k", Seq: 1, Attempt: 1})
//	rec.Settle(got, history.Ack, nil)
//	report := check.Check(rec.Run(), expect)
//
// A recording program must follow two rules. First, it begins a call before the bytes
// of the event leave, and answers the call after the answer arrived: the record then
// covers all the time in which the event may have been written. Second, the first calls
// of one key begin in the order of their Seq. That is so when one goroutine sends the
// key, on one stream or waiting for each answer.
package history
