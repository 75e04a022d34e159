package environment

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/warrenmesh/warren/tracing/conventions"
)

// Resource describes the process. OTEL_SERVICE_NAME beats OTEL_RESOURCE_ATTRIBUTES,
// which beats own.
func (r *Reader) Resource(own ...attribute.KeyValue) *resource.Resource {
	attrs := own
	for _, p := range r.pairs("OTEL_RESOURCE_ATTRIBUTES") {
		attrs = append(attrs, attribute.String(p.key, p.value))
	}
	name, _ := r.first("OTEL_SERVICE_NAME")
	attrs = conventions.AppendString(attrs, semconv.ServiceNameKey, name)
	attrs = append(attrs,
		semconv.TelemetrySDKName("opentelemetry"), semconv.TelemetrySDKLanguageGo, semconv.TelemetrySDKVersion(sdk.Version()))
	return resource.NewWithAttributes(conventions.SchemaURL, attrs...) // of equal keys the last one counts
}
