// Package mapping turns AMQP messages into events and back. It is pure: functions over
// message.Message and event.Event that touch no network and keep nothing. Warren's
// queues are fed by other programs, too, so what comes in may be anything.
//
// # The rule
//
// The first that applies decides how a message is read:
//
//  1. content_type, in any case and with any parameters. application/cloudevents-batch…
//     is a batch, which is refused: a message is settled once, and events of one batch
//     could not be retried or dead-lettered each by itself. application/cloudevents+json
//     (or without a suffix) and +protobuf are structured mode: attributes and data are in
//     the body; headers that repeat attributes are not looked at. Other formats are refused.
//  2. Headers ce-specversion or ce-id, cloudEvents_…, cloudEvents:…: binary mode in that
//     dialect. A dialect with a specversion wins over one with only an id.
//  3. A header specversion of "1.0", if the headers that are named like attributes are
//     together a valid event: binary mode with bare names, as Knative writes it.
//  4. Anything else is a plain message, which becomes an event of its own (see plain.go).
//
// # Values
//
// Binary and structured mode take the same values. What the specification defines is
// held to it; extensions are the producer's. AMQP's own types become the CloudEvents
// type that fits:
//
//	boolean                 Boolean
//	integer of any size     Integer if it fits 32 bits, else the String of its digits
//	float, decimal          String
//	timestamp               Timestamp
//	text                    String, or the type the attribute's name has
//	byte array              Binary; text where the specification says that the attribute is text
//	void                    absent
//	array, table            refused
//
// A count in the place of a time (an AMQP timestamp, or an integer as time, expirytime or
// recordedtime) is of seconds since 1970 below 100,000,000,000, and of milliseconds from
// there on.
//
// In binary mode a header whose name is none of an attribute (ce-event_source) is no
// attribute: the event is delivered without it, and the header stays visible beside it.
// In structured mode such a member is a fault of the event. A message that is no event
// is an error; whoever asked sets it aside whole.
package mapping
