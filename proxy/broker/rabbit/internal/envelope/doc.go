// Package envelope is the form that a queueing.Message has in AMQP, and that a delivery
// comes in: an event by package mapping, and around it, in properties and headers, what
// Warren says of it (its attempt, its origin, why it is a dead letter) and what RabbitMQ
// does (how often it was handed out, why a queue gave it up).
//
//	queueing.Message ──Encode──▶ message.Properties and a body ──▶ a publish
//	a delivery ──▶ message.Message ──Decode──▶ queueing.Delivery, with its Original
//
// It is pure: it knows of no connection, and keeps nothing. What anybody else may have
// written is not believed: Warren's headers count on its own way only.
package envelope
