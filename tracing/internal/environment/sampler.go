package environment

import (
	"log/slog"
	"strconv"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

const (
	varSampler    = "OTEL_TRACES_SAMPLER"
	varSamplerArg = "OTEL_TRACES_SAMPLER_ARG"
)

// Sampler reads OTEL_TRACES_SAMPLER and its _ARG. Jaeger's remote sampler, which
// may be set for every service of a cluster and costs megabytes, is not built in:
// a warning says so, and the default takes its place.
func (r *Reader) Sampler(log *slog.Logger) sdktrace.Sampler {
	name, _ := r.first(varSampler)
	switch strings.ToLower(name) {
	case "", "parentbased_always_on":
		return sdktrace.ParentBased(sdktrace.AlwaysSample())
	case "always_on":
		return sdktrace.AlwaysSample()
	case "always_off":
		return sdktrace.NeverSample()
	case "traceidratio":
		return sdktrace.TraceIDRatioBased(r.ratio())
	case "parentbased_always_off":
		return sdktrace.ParentBased(sdktrace.NeverSample())
	case "parentbased_traceidratio":
		return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(r.ratio()))
	case "jaeger_remote", "parentbased_jaeger_remote":
		log.Warn("sampler is not supported, sampling with parentbased_always_on",
			"variable", varSampler, "sampler", name)
		return sdktrace.ParentBased(sdktrace.AlwaysSample())
	}
	r.fail(varSampler, name, "always_on, always_off, traceidratio or one of these after parentbased_")
	return sdktrace.NeverSample()
}

// ratio reads the share of traces to sample, 1 when nothing is said.
func (r *Reader) ratio() float64 {
	value, _ := r.first(varSamplerArg)
	if value == "" {
		return 1
	}
	ratio, err := strconv.ParseFloat(value, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) {
		r.fail(varSamplerArg, value, "a number from 0 to 1")
		return 0
	}
	return ratio
}
