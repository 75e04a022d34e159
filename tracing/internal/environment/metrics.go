package environment

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/sdk/metric/exemplar"
)

// Metrics is what is measured, and how it leaves the process.
type Metrics struct {
	Off      bool
	Push     bool   // by OTLP, besides what is scraped
	Target   Target // of Push
	Interval time.Duration
	Timeout  time.Duration // of one push
	Filter   exemplar.Filter
}

// Metrics reads the variables of metrics. Being scraped by Prometheus is always on
// unless all is off. OTLP must be asked for by a variable of metrics: Jaeger, the
// most likely receiver of OTEL_EXPORTER_OTLP_ENDPOINT, takes traces only.
func (r *Reader) Metrics() Metrics {
	m := Metrics{Filter: r.exemplarFilter()}
	for _, kind := range r.list("OTEL_METRICS_EXPORTER") {
		switch strings.ToLower(kind) {
		case "prometheus":
		case OTLP:
			m.Push = true
		case none:
			return Metrics{Off: true}
		default:
			r.fail("OTEL_METRICS_EXPORTER", kind, "prometheus, otlp or none")
		}
	}
	if own, _ := r.first(metrics.own("ENDPOINT"), metrics.own("PROTOCOL")); own != "" && !r.chosen("OTEL_METRICS_EXPORTER") {
		m.Push = true
	}
	if m.Push {
		m.Target = r.otlp(metrics)
		m.Interval = r.millis(time.Minute, "OTEL_METRIC_EXPORT_INTERVAL")
		m.Timeout = r.millis(30*time.Second, "OTEL_METRIC_EXPORT_TIMEOUT")
	}
	return m
}

func (r *Reader) chosen(list string) bool { return len(r.list(list)) > 0 }

func (r *Reader) exemplarFilter() exemplar.Filter {
	const name = "OTEL_METRICS_EXEMPLAR_FILTER"
	switch value, _ := r.first(name); strings.ToLower(value) {
	case "", "trace_based":
	case "always_on":
		return exemplar.AlwaysOnFilter
	case "always_off":
		return exemplar.AlwaysOffFilter
	default:
		r.fail(name, value, "trace_based, always_on or always_off")
	}
	return exemplar.TraceBasedFilter
}
