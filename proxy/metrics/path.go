package metrics

import (
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Step is where an event goes one of two ways: a fast one, on which nothing is built for it
// alone, or a slow one, for what needs more.
type Step int

const (
	// PublishDecode is fast when a request is read from its wire form, and slow when it
	// becomes a message of protobuf first.
	PublishDecode Step = iota
	// PublishTry is fast when an event is written as soon as it is accepted, and slow when
	// it waited for its turn, or is repeated.
	PublishTry
	// DeliveryEncode is fast when the wire form of a delivery is written, and slow when a
	// message of protobuf is.
	DeliveryEncode
	// DeliveryDecode is fast when settlements are read from their wire form, and slow when
	// the request becomes a message of protobuf first: it does more than acknowledge.
	DeliveryDecode
	// DeliverySettle is fast when a delivery is acknowledged, and slow when it is retried or
	// dead-lettered: then the broker has to confirm something first.
	DeliverySettle

	steps
)

// Keys of the attributes of paths.
const (
	keyDirection = attribute.Key("warren.path.direction")
	keyStep      = attribute.Key("warren.path.step")
	keyPath      = attribute.Key("warren.path.kind")
)

// names are the values of warren.path.direction and warren.path.step.
var names = [steps][2]string{
	PublishDecode:  {"publish", "decode"},
	PublishTry:     {"publish", "try"},
	DeliveryEncode: {"delivery", "encode"},
	DeliveryDecode: {"delivery", "decode"},
	DeliverySettle: {"delivery", "settle"},
}

// way counts the events that went one of the two ways.
type way struct {
	n  atomic.Int64
	as metric.ObserveOption
}

// paths are the ways of all steps. Each has a series from the start: a slow path that
// nothing takes is shown as 0.
type paths struct{ fast, slow [steps]way }

func newPaths() *paths {
	p := &paths{}
	for s, name := range names {
		of := func(kind string) metric.ObserveOption {
			return metric.WithAttributeSet(attribute.NewSet(keyDirection.String(name[0]), keyStep.String(name[1]), keyPath.String(kind)))
		}
		p.fast[s].as, p.slow[s].as = of("fast"), of("slow")
	}
	return p
}

func (p *paths) observe(o metric.Observer, c metric.Int64Observable) {
	for s := range steps {
		o.ObserveInt64(c, p.fast[s].n.Load(), p.fast[s].as)
		o.ObserveInt64(c, p.slow[s].n.Load(), p.slow[s].as)
	}
}

// Fast counts n events that took the fast path at a step. It is called once for all of a
// batch.
func (e *Events) Fast(s Step, n int) {
	if e != nil && n > 0 {
		e.paths.fast[s].n.Add(int64(n))
	}
}

// Slow counts n events that took the slow path at a step.
func (e *Events) Slow(s Step, n int) {
	if e != nil && n > 0 {
		e.paths.slow[s].n.Add(int64(n))
	}
}
