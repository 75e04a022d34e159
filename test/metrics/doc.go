// Package metrics looks at the metrics of a whole mesh in one process, as Prometheus
// does: a control plane, two sidecars on the in-process broker, and services that
// publish, receive by stream and are pushed to.
//
// It holds the conventions, the bounds and the exemplars to what is scraped, and the
// dashboard, the alerts and docs/metrics.md to the names and labels that are really
// there.
package metrics
