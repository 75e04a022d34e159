package metrics

import (
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/warrenmesh/warren/internal/grow"
	"github.com/warrenmesh/warren/tracing/conventions"
)

// series is one attribute set of one instrument. A counter is an atomic integer that a
// scrape reads; the SDK records durations.
type series struct {
	n      atomic.Int64
	as     metric.ObserveOption
	record []metric.RecordOption
}

func newSeries(attrs []attribute.KeyValue, more ...attribute.KeyValue) *series {
	set := metric.WithAttributeSet(attribute.NewSet(concat(attrs, more...)...))
	return &series{as: set, record: []metric.RecordOption{set}}
}

func (s *series) observe(o metric.Observer, c metric.Int64Observable) {
	if n := s.n.Load(); n > 0 {
		o.ObserveInt64(c, n, s.as)
	}
}

// outcomes are the series of one operation on one node: one for success, and one
// for each type of error that has happened.
type outcomes struct {
	attrs  []attribute.KeyValue // must not be changed
	byType grow.Map[string, *series]
}

func newOutcomes(attrs []attribute.KeyValue) *outcomes { return &outcomes{attrs: attrs} }

// of returns the series of err, nil being success. otherwise is the error type for
// errors that have none.
func (o *outcomes) of(err error, otherwise string) *series {
	errorType := ""
	if err != nil {
		errorType = conventions.ErrorType(err, otherwise)
	}
	if s, ok := o.byType.Get(errorType); ok {
		return s
	}
	if errorType == "" {
		return o.byType.Add("", func() *series { return newSeries(o.attrs) })
	}
	return o.byType.Add(errorType, func() *series { return newSeries(o.attrs, conventions.KeyErrorType.String(errorType)) })
}

func (o *outcomes) observe(to metric.Observer, c metric.Int64Observable) {
	for _, s := range o.byType.All() {
		s.observe(to, c)
	}
}

// concat copies, because attribute sets sort their input in place.
func concat(attrs []attribute.KeyValue, more ...attribute.KeyValue) []attribute.KeyValue {
	return append(append(make([]attribute.KeyValue, 0, len(attrs)+len(more)), attrs...), more...)
}
