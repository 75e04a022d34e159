// Package journal is the shop's record of what really happened: an append-only
// file of JSON lines that each service writes for itself. The demo's accounting
// reads these files and nothing else, so that no counter of a sidecar can vouch
// for itself.
//
// It owns the line format and the rules of writing. It does not interpret the
// lines; package account does.
//
// A Writer is safe for concurrent use; a Tail belongs to one goroutine. A file
// has one Writer at a time.
//
//	w, err := journal.Open("billing.ndjson")
//	err = w.Append(journal.Record{What: journal.Delivered, ID: id, Subscription: "billing"})
//	records, err := journal.Read("billing.ndjson")
package journal

import "time"

// What a line says.
const (
	// Ready: a subscription is open; it names Subscription and Topic. A service that
	// events are pushed to names neither: it accepts them now.
	Ready = "ready"
	// Published: an event is about to be published for the first time.
	Published = "published"
	// Confirmed: its sidecar answered OK, so the broker has it.
	Confirmed = "confirmed"
	// Failed: the publish was given up; Error says why.
	Failed = "failed"
	// Delivered: an event was handed over. Written before the ack is sent, so an
	// event that is acked is always in the journal.
	Delivered = "delivered"
	// Done: the service has nothing more to publish.
	Done = "done"
)

// Record is one line. Fields that do not apply are absent.
type Record struct {
	// Time the line was made.
	Time time.Time `json:"time"`
	// What happened: one of the constants above.
	What string `json:"what"`
	// ID of the event.
	ID string `json:"id,omitempty"`
	// Cause is the id of the event that made the service publish this one.
	Cause string `json:"cause,omitempty"`
	// Topic the event was published to, by the sidecar's answer, or came from.
	Topic string `json:"topic,omitempty"`
	// Subscription it was delivered on.
	Subscription string `json:"subscription,omitempty"`
	// Attempt counts from 1: tries of a publish, or the delivery's own attempt.
	Attempt int `json:"attempt,omitempty"`
	// Redelivered as the sidecar said.
	Redelivered bool `json:"redelivered,omitempty"`
	// Trace is the id of the trace the service started, in hex.
	Trace string `json:"trace,omitempty"`
	// Error that ended a publish.
	Error string `json:"error,omitempty"`
}
