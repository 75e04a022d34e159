// Package tracing carries one trace through every hop of an event and sets up
// OpenTelemetry from the standard OTEL_* variables.
//
// It owns the tracer provider and its exporter, the propagation over gRPC and AMQP,
// the names and attributes of all messaging spans, and the trace ids in logs. It
// owns the meter provider, the way metrics leave the process (scraped, or pushed by
// OTLP), and the metrics of the process itself: build, Go runtime, gRPC calls. Other
// instruments belong to the rooms that measure, and those rooms decide when a span
// begins. It imports no other room, so Hop has the fields of broker.TraceContext and
// converts to and from it.
//
// Spans follow OpenTelemetry's messaging conventions for RabbitMQ, version 1.43.
// They have the service.name of the service beside the sidecar and the attribute
// warren.component, so that a dependency graph shows service to service.
//
// Everything is safe for concurrent use. A Span belongs to the goroutine that
// started it until it is handed over; End is called once.
//
//	p, err := tracing.Setup(ctx, tracing.Options{ServiceName: "checkout", Component: "sidecar"})
//	defer p.Shutdown(context.Background())
//	mux.Handle("GET /metrics", p.MetricsHandler())
//	ctx, span := p.Messaging().StartPublish(ctx, tracing.Publish{Topic: "orders", ...})
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
package tracing
