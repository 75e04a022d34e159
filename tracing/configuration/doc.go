// Package configuration starts the spans of a change of configuration, on its way from
// a file to the sidecars that run on it.
//
// It owns their names and attributes. The control plane and the xDS packages decide
// when a span begins and ends, and carry a span's Hop to the next stage. It imports
// tracecontext and conventions, and no OpenTelemetry SDK.
//
// A Tracer is safe for concurrent use. A Span belongs to the goroutine that started it
// until it is handed over; End is called once.
//
//	ctx, change := tracer.StartChange(ctx, configuration.Change{Objects: 3})
//	push := tracer.StartPush(change.Hop(), configuration.Push{Sidecar: "billing.shop~1"})
//	push.End(refusal)
//	change.End(err)
package configuration
