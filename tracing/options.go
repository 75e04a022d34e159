package tracing

import (
	"io"
	"log/slog"
	"os"

	"github.com/warrenmesh/warren/tracing/messaging"
)

// Options says who is traced and measured. The environment says where that goes.
type Options struct {
	// ServiceName is service.name when neither OTEL_SERVICE_NAME nor
	// OTEL_RESOURCE_ATTRIBUTES says one. "" is "unknown_service:warren". For a
	// sidecar it is the name of the service beside it.
	ServiceName string
	// Component is warren.component on every span: "sidecar", "controlplane".
	// "" leaves it out.
	Component string
	// Version is Warren's own version, shown as the version of the scope and in
	// warren.build.info.
	Version string
	// Commit is the revision Version was built from, shown in warren.build.info;
	// "" leaves it out.
	Commit string
	// Namespace is service.namespace; "" leaves it out.
	Namespace string
	// InstanceID is service.instance.id; "" leaves it out.
	InstanceID string
	// ConsumerParent relates process spans to producers. The zero value is
	// messaging.Parent.
	ConsumerParent messaging.ConsumerParent
	// Logger hears of exporters that fail, at most once in 30 seconds. nil drops it.
	Logger *slog.Logger
	// Getenv reads the environment; nil is os.Getenv.
	Getenv func(string) string
	// Stdout is where the console exporter writes; nil is os.Stdout.
	Stdout io.Writer
}

func (o Options) withDefaults() Options {
	if o.ServiceName == "" {
		o.ServiceName = "unknown_service:warren"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	return o
}
