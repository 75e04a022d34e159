// Package conventions holds the words that spans, metrics and the resource of a process
// share: OpenTelemetry's semantic conventions, version 1.43, as Warren uses them.
//
// It owns the instrumentation scope, the keys that more than one kind of telemetry has,
// and the values of error.type. Keys and values of the messaging conventions are in
// package messaging. It imports no other package of Warren and keeps no state.
//
//	meter := provider.Meter(conventions.ScopeName)
//	attrs := conventions.AppendString(nil, conventions.KeyComponent, "sidecar")
package conventions
