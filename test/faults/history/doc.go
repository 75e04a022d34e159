// Package history is what a run under faults recorded: every publish call with its
// answer, every delivery with its outcome, what lay in the dead-letter queues and
// was left in the queues at the end, samples of the processes, and the faults.
//
// It owns the records and their file form. It judges nothing: package check does.
// A Recorder is safe for concurrent use and made for millions of records; a Run is
// plain data for one goroutine. All times are since the run's start, on the
// monotonic clock, so a clock that jumps does not show.
//
//	rec := history.New("broker-killed", seed)
//	call := rec.Begin(history.Publish{ID: "1", Topic: "shop/orders", Key: "k", Seq: 1, Deadline: time.Second})
//	rec.Answer(call, history.Answer{Result: history.OK})
//	got := rec.Deliver(history.Delivery{Subscription: "shop/billing", ID: "1", Key: "k", Seq: 1, Attempt: 1})
//	rec.Settle(got, history.Ack, nil)
//	report := check.Check(rec.Run(), expect)
//
// Two rules bind whoever records. A call begins before its bytes leave, and is
// answered after its answer came, so that a record spans all the time in which the
// event may have been written. And the first calls of one key begin in the order of
// their Seq, as they do when one goroutine sends that key: on one stream, or waiting
// for each answer.
package history
