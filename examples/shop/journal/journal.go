// Package journal records what the shop's services did: an append-only file of JSON
// lines that each service writes for itself. The demo's accounting reads only these
// files, so that it does not depend on the counters of a sidecar.
//
// It owns the line format and the rules of writing. Package account interprets the
// lines.
//
// A Writer is safe for concurrent use; a Tail belongs to one goroutine. A file has one
// Writer at a time.
//
//	w, err := journal.Open("billing.ndjson")
//	err = w.Append(journal.Record{What: journal.Delivered, ID: id, Subscription: "billing"})
//	records, err := journal.Read("billing.ndjson")
package journal

import "time"

// What a line records.
const (
	// Ready: a subscription is open; the line names Subscription and Topic. A service
	// that events are pushed to names neither: it accepts events now.
	Ready = "ready"
	// Published: an event is about to be published for the first time.
	Published = "published"
	// Confirmed: its sidecar answered OK, so the broker has it.
	Confirmed = "confirmed"
	// Failed: the publisher gave up; Error says why.
	Failed = "failed"
	// Delivered: an event was delivered. It is written before the ack is sent, so that
	// every acknowledged event is in the journal.
	Delivered = "delivered"
	// Done: the service has nothing more to publish.
	Done = "done"
)

// Record is one line. Fields that do not apply are left out.
type Record struct {
	// Time when the line was made.
	Time time.Time `json:"time"`
	// What the line records: one of the constants above.
	What string `json:"what"`
	// ID of the event.
	ID string `json:"id,omitempty"`
	// Cause is the id of the event that made the service publish this one.
	Cause string `json:"cause,omitempty"`
	// Topic that the event was published to, according to the sidecar's answer, or that
	// it came from.
	Topic string `json:"topic,omitempty"`
	// Subscription that it was delivered on.
	Subscription string `json:"subscription,omitempty"`
	// Attempt counts from 1: the tries of a publish, or the attempt of a delivery.
	Attempt int `json:"attempt,omitempty"`
	// Redelivered is the flag of the delivery.
	Redelivered bool `json:"redelivered,omitempty"`
	// Trace is the id of the trace the service started, in hex.
	Trace string `json:"trace,omitempty"`
	// Error that ended a publish.
	Error string `json:"error,omitempty"`
}
