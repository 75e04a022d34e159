// Package check judges a recorded run: did the mesh lose, lie or reorder while it
// was disturbed, and was it disturbed at all?
//
// It owns the invariants and the numbers of a report. It starts nothing and reads
// no clock: the same history gives the same report. Check takes one pass over each
// kind of record, with constant work for each; deliveries are put into the order of
// their times first. Not for concurrent use of one Run; a Report is plain data.
//
//	report := check.Check(rec.Run(), check.Expect{
//		Subscriptions: []check.Subscription{{Name: "shop/billing", Ordered: true}},
//		MaxRecovery:   time.Second,
//	})
//	if !report.Passed() {
//		report.Explain(os.Stderr)
//	}
//
// # What an event was answered
//
// The calls for one id are one event. It is OK when any call was OK; else unknown
// when any call was unknown or never returned; else failed. A call that failed for
// certain wrote nothing, so an event may have been written once for each of its
// other calls.
//
// # The invariants
//
// I0, the run is a test: each fault has a proof and found enough in flight, by the
// recorder's word and by the history's; something was published, and what is to be
// judged was recorded.
//
// I1, nothing is lost: each OK event that a subscription wants was acked by a
// service or lies in the dead-letter queue. Still in the queue after the drain is a
// violation too, of another name: it was not lost, it was not delivered. What the
// broker gave up by itself (expired, delivery-limit, max-length) is accounted for when
// it lies in the dead-letter queue, and only there.
//
// I2, nothing comes from nowhere: an event whose every call failed for certain, or
// that nobody published, is neither delivered nor queued; key and seq arrive as they
// were sent.
//
// I3, duplicates are flagged and few: of the copies of one event that a subscription
// got, those without a flag (redelivered, or attempt > 1) are at most as many as the
// calls that may have written it. A copy that the service asked for with a retry is
// no duplicate, but needs a flag. Copies beyond both are at most as many as were in
// flight at the faults.
//
// I4, order: see below.
//
// I5, the broker forgets only what a service acked: an event that was delivered and
// is in no queue any more has an ack on record. An ack counts although its way to
// the sidecar broke: the service gave it.
//
// I6, answers are honest and in time: an OK event reached at least one subscription
// that wants it (an OK for what nobody ever saw is a false OK); a call that had to be
// refused was; every call was answered by its deadline and a little slack; an event is a
// dead letter only for a reason that the run gives.
//
// I7, recovery: after each fault, the first OK on each topic and the first delivery
// of each subscription come in time. Faults that overlap are one disturbance.
//
// I8, nothing grows: memory, goroutines and descriptors of each process, medians of
// before and after. Before is a process at work, where there are samples of that:
// what the first events open is no growth.
//
// # Order, and what unknown does to it
//
// Deliveries of one key increase by seq, but seq is the order of first calls, and an
// event counts from the call that made it certain. Three cases:
//
//   - a and b were OK at the first call. Seq is the order, and a comes first.
//   - a was only ever unknown. The mesh promised nothing about it: it may have left a
//     socket late, and comes late or never. It may not come early, before an event
//     that had been accepted in front of it.
//   - a was unknown and repeated until OK. A publisher that waits with b for that OK
//     gets a before b. One that went on with b has itself put the repeat behind b.
//
// All three are one rule: a comes after b wrongly when a call of a that was answered
// OK had begun before the first call that may have written b. Only the first delivery
// of each counts; copies follow no order. Beyond that, an ordered subscription hands
// out an event only when the one of its key before it was acked, dead-lettered by the
// service, or given up (it lies in the dead-letter queue).
//
// With ConfirmOrder the answers are held to it too: of the OK calls of one key, those
// that began earlier end earlier.
package check
