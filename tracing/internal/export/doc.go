// Package export builds the ways out of a process: spans by OTLP or to the console,
// metrics by OTLP or as a scrape.
//
// What the ways are says package environment, which it imports. Exporters connect in the
// background. One that fails says so in the log, at most once in 30 seconds, and never
// fails its caller.
//
//	err := export.Spans(ctx, env.Traces(), tracerProvider, log, os.Stdout)
//	reader, handler, err := export.Scrape(log)
package export
