// Package sampling decides whether a span is recorded before anything is made for it.
//
// The SDK asks its sampler when a span begins, and by then the span has its name, its
// attributes and its options. At 1 % of the traces 99 of 100 are made to be dropped. An
// Early asks the same sampler first. It is for samplers that look at neither name nor
// attributes, as those of OTEL_TRACES_SAMPLER.
//
// It imports the SDK and no other package of Warren. An Early is safe for concurrent use.
package sampling

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Early is a sampler that can be asked before a span is made. It makes the provider's ids,
// too: a trace that it has let through keeps the id that this was decided by.
type Early struct{ sampler sdktrace.Sampler }

var _ sdktrace.IDGenerator = (*Early)(nil)

// New returns one of a provider with that sampler, of which it has to be the IDGenerator.
func New(s sdktrace.Sampler) *Early { return &Early{sampler: s} }

// Drop reports whether a span that begins in ctx is not recorded. Then the returned context
// is the one in it: with an id of its own, in the trace of ctx's span, or in a new one.
// Otherwise the span has to be begun in the returned context.
func (e *Early) Drop(ctx context.Context) (context.Context, bool) {
	parent := trace.SpanContextFromContext(ctx)
	id := parent.TraceID()
	if !id.IsValid() {
		id = newTraceID()
	}
	result := e.sampler.ShouldSample(sdktrace.SamplingParameters{ParentContext: ctx, TraceID: id})
	switch {
	case result.Decision == sdktrace.Drop:
		return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: id, SpanID: newSpanID(), TraceState: result.Tracestate,
			TraceFlags: parent.TraceFlags() &^ trace.FlagsSampled,
		})), true
	case parent.TraceID().IsValid():
		return ctx, false
	default:
		return context.WithValue(ctx, promiseKey{}, &promise{id: id}), false
	}
}

// promise is the id of a trace that is to be recorded. The first span that begins takes it.
type promise struct {
	id    trace.TraceID
	taken atomic.Bool
}

type promiseKey struct{}

// NewIDs implements sdktrace.IDGenerator.
func (*Early) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	if p, ok := ctx.Value(promiseKey{}).(*promise); ok && p.taken.CompareAndSwap(false, true) {
		return p.id, newSpanID()
	}
	return newTraceID(), newSpanID()
}

// NewSpanID implements sdktrace.IDGenerator.
func (*Early) NewSpanID(context.Context, trace.TraceID) trace.SpanID { return newSpanID() }

func newTraceID() (id trace.TraceID) {
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:8], rand.Uint64()) //nolint:gosec // ids are no secrets
		binary.NativeEndian.PutUint64(id[8:], rand.Uint64()) //nolint:gosec // as above
	}
	return id
}

func newSpanID() (id trace.SpanID) {
	for !id.IsValid() {
		binary.NativeEndian.PutUint64(id[:], rand.Uint64()) //nolint:gosec // ids are no secrets
	}
	return id
}
