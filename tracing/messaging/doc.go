// Package messaging starts the spans of events: one for each publish, one for each
// delivery, one for each settlement.
//
// It owns their names, attributes, parents and links, which follow OpenTelemetry's
// messaging conventions for RabbitMQ, version 1.43, and the words of these conventions
// that metrics have, too. The packages that publish and deliver decide when a span
// begins and ends. It imports tracecontext and conventions, and no OpenTelemetry SDK.
//
// A Tracer is safe for concurrent use. A Span belongs to the goroutine that started it
// until it is handed over; End is called once.
//
//	ctx, span := tracer.StartPublish(ctx, messaging.Publish{Topic: "orders", ...})
//	message.Trace = broker.TraceContext(span.Hop())
//	span.End(err)
//
// Which context wins on the consumer's side:
//
// Context: an event can have two trace contexts, the creation context in its own
// traceparent attribute, which nobody may change, and the hop, which each
// publish writes into the message's headers.
// Decision: the creation context is the event's if valid, else the hop. The
// process span has it as parent and as link; a hop that differs is a second link.
// ConsumerParent Link leaves the parent out.
// Cost: OpenTelemetry recommends links alone. With links alone Jaeger's
// dependency graph shows no edge between producer and consumer.
package messaging
