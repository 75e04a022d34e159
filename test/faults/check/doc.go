// Package check judges a recorded run. Did Warren lose events, give wrong answers or
// break the order while it was disturbed, and was it disturbed at all?
//
// It owns the invariants and the numbers of a report. It starts nothing and reads no
// clock: the same history gives the same report. Check takes one pass over each kind of
// record, with constant work for each record; it sorts the deliveries by time first.
// One Run must not be checked concurrently; a Report is plain data.
//
// It imports history only. check.go runs the judgement: the answers (answers.go), whether
// the run was a test (proof.go, paths.go), the events of each subscription (events.go,
// subscription.go), recovery (recovery.go) and growth (growth.go). expect.go says what a
// scenario demands, report.go what was found and how it is printed.
//
//	report := check.Check(rec.Run(), check.Expect{
//		Subscriptions: []check.Subscription{{Name: "shop/billing", Ordered: true}},
//		MaxRecovery:   time.Second,
//	})
//	if !report.Passed() {
//		report.Explain(os.Stderr)
//	}
//
// # The answer of an event
//
// The calls for one id are one event. The event is OK when any call was OK. Otherwise
// it is unknown when any call was unknown or never returned, and failed when all calls
// failed. A call that failed for certain wrote nothing, so an event may have been
// written at most once for each of its other calls.
//
// # The invariants
//
// I0, the run is a test: each fault has a proof and found enough calls and deliveries
// in flight, according to the recorder and to the history. Something was published, and
// everything that is judged was recorded. Events took the paths through the sidecars that
// the history needs: the fast one if any was confirmed or acknowledged, the slow one if
// any was retried or dead-lettered, or the fault makes publishes repeat.
//
// I1, nothing is lost: each OK event that a subscription wants was acked by a service
// or is in the dead-letter queue. An event that is still in the queue after the drain
// is a violation of its own: it was not lost, but it was not delivered. An event that
// the broker dead-lettered by itself (expired, delivery-limit, max-length) is accounted
// for only when it is in the dead-letter queue.
//
// I2, nothing comes from nowhere: an event that nobody published, or whose every call
// failed for certain, is neither delivered nor queued. Key and seq arrive as they were
// sent.
//
// I3, duplicates are flagged and few. A copy has a flag when it is marked redelivered
// or its attempt is above 1. Of the copies of one event that a subscription got, at
// most as many lack the flag as calls may have written it. A copy that the service
// asked for with a retry is no duplicate, but needs a flag. All other copies are at
// most as many as were in flight at the faults.
//
// I4, order: see below.
//
// I5, the broker forgets only events that a service acked: for an event that was
// delivered and is in no queue any more, an ack is on record. An ack counts even if the
// stream to the sidecar broke: the service gave it.
//
// I6, answers are honest and in time. An OK event reached at least one subscription
// that wants it; otherwise the OK is a false OK. A call that had to be refused was
// refused. Every call was answered by its deadline and a little slack. An event is a
// dead letter only for a reason that the run allows.
//
// I7, recovery: after each fault, the first OK on each topic and the first delivery of
// each subscription come in time. Faults that overlap count as one.
//
// I8, nothing grows: memory, goroutines and descriptors of each process, as medians
// before and after. The samples before are of a process under load, where there are
// any: the resources that the first events open are no growth.
//
// # Order and unknown outcomes
//
// Deliveries of one key increase by seq. But seq is the order of first calls, and an
// event counts from the call that made it certain. There are three cases:
//
//   - a and b were OK at the first call. Seq is the order, and a comes first.
//   - a was only ever unknown. The mesh promised nothing about it: it may have left a
//     socket late, and comes late or never. It may not come early, before an event
//     that had been accepted in front of it.
//   - a was unknown and repeated until OK. A publisher that waits with b for that OK
//     gets a before b. One that went on with b has itself put the repeat behind b.
//
// All three follow from one rule. It is wrong that a comes after b when a call of a
// that was answered OK had begun before the first call that may have written b. Only
// the first delivery of each event counts; copies have no order. In addition, an
// ordered subscription delivers an event only when the one before it of its key was
// acked, or was dead-lettered (it is in the dead-letter queue).
//
// With ConfirmOrder the answers must be in order too: of the OK calls of one key, those
// that began earlier end earlier.
package check
