// Package tracecontext carries the trace context of an event, and its baggage, from one
// process to the next.
//
// Hop is what an AMQP message carries in its headers. Extract and Inject read and write
// the entries of gRPC streams, where one call carries many contexts. ServerHandler and
// ClientHandler pass the context of unary calls on without recording anything.
// LogHandler writes the ids of the current span into log records.
//
// Headers of other processes are never trusted: an invalid value counts as absent.
//
// The package imports no other package of Warren, so Hop has the fields of
// broker.TraceContext and converts to and from it. Everything is safe for concurrent
// use.
//
//	ctx = tracecontext.Extract(ctx, entry.Trace)
//	message.Trace = broker.TraceContext(tracecontext.Of(ctx))
package tracecontext
