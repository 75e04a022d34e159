package conventions

import (
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// ScopeName is the instrumentation scope of Warren's own spans and metrics.
const ScopeName = "github.com/warrenmesh/warren"

// SchemaURL is the version of the conventions that keys and values are taken from.
const SchemaURL = semconv.SchemaURL

// Keys of our own that more than one kind of telemetry has.
const (
	// KeyComponent says which program of Warren speaks: "sidecar", "controlplane".
	KeyComponent = attribute.Key("warren.component")
	// KeyConfigVersion is the hash of a sidecar's own configuration, which "warren config
	// dump" shows: a sidecar has only the part of the configuration that concerns it.
	KeyConfigVersion = attribute.Key("warren.config.version")
)

// AppendString appends key and value, and nothing for "".
func AppendString(kvs []attribute.KeyValue, key attribute.Key, value string) []attribute.KeyValue {
	if value == "" {
		return kvs
	}
	return append(kvs, key.String(value))
}
