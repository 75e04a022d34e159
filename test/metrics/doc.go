// Package metrics tests the metrics of a whole mesh in one process, read as Prometheus
// reads them. The mesh is a control plane, two sidecars on the in-process broker, and
// services that publish, receive by stream and are pushed to.
//
// The tests check the scraped metrics against the conventions, the bounds on series and
// the exemplars. They check the dashboard, the alerts and docs/metrics.md against the
// names and labels that exist.
package metrics
