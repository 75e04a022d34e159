// Package environment reads what the OTEL_* variables say about telemetry.
//
// It owns the names, values and defaults of the variables, and builds nothing that
// connects or runs: package tracing does so with what is read here. It imports
// conventions and tracecontext.
//
// OpenTelemetry's SDK ignores a value that it cannot understand. Here it is an error that
// names its variable.
//
//	env := environment.New(os.Getenv)
//	traces, sampler := env.Traces(), env.Sampler(log)
//	if err := env.Err(); err != nil { ... }
package environment
